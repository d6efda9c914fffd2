"""Signals that ask a load test for an end."""

import signal

import pytest

from loadtest.interrupts import Interrupts

CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129}


def test_before_the_load_a_stop_is_heard_as_everywhere_else() -> None:
    for number, code in CODES.items():
        interrupts = Interrupts()
        with interrupts.counted():
            interrupts.heed()
            signal.raise_signal(number)
            with pytest.raises(SystemExit) as left:
                interrupts.heed()
        assert left.value.code == code
    interrupts = Interrupts()
    with interrupts.counted():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.heed()


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As nohup leaves SIGHUP: who logs out ends no load."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupts = Interrupts()
        with interrupts.counted():
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.count == 0
            interrupts.heed()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", Interrupts.SIGNALS, ids=lambda number: number.name)
def test_the_third_one_ends_what_the_first_two_asked_for(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.counted():
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert interrupts.count == 2
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            signal.raise_signal(number)
        signal.raise_signal(number)  # while it is cleaned up
