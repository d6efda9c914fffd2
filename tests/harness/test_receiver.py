"""A receiver as a child process: what becomes of it when its owner has other plans."""

import socket
from pathlib import Path

import pytest

from harness import receiver
from harness.processes import processes_with
from harness.receiver import ReceiverProcess


def test_a_stop_while_it_starts_leaves_no_receiver_behind(store_path: Path) -> None:
    class Stopped(ReceiverProcess):
        def _listens(self) -> bool:
            raise KeyboardInterrupt

    starting = Stopped({"store": f"sqlite:///{store_path}"})
    with pytest.raises(KeyboardInterrupt):
        starting.start()
    assert starting.process.returncode is not None


def test_a_receiver_that_is_too_slow_is_ended_with_its_tracer(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "START_SECONDS", 0.0)
    slow = ReceiverProcess(
        {"store": f"sqlite:///{store_path}"}, command=["sh", "-c", 'sleep 600; "$@"', "traced"]
    )
    with pytest.raises(RuntimeError, match="did not start"):
        slow.start()
    assert not [line for line in processes_with("traced") if "sleep 600" in line]


def test_one_that_can_not_start_shows_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="is not a store"),
        ReceiverProcess({"store": f"moon://{tmp_path}"}),
    ):
        pass


def test_where_a_port_is_taken_it_gets_another_one(store_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        started = receiver.start_at(port, {"store": f"sqlite:///{store_path}"})
    try:
        assert started.port not in (0, port)
        assert started.ready()
    finally:
        started.stop()


def test_one_that_can_not_start_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(receiver.ReceiverError) as raised:
        receiver.start_at(0, {"store": f"moon://{tmp_path}"})
    assert "is not a store" in raised.value.reason
    assert "\n" not in raised.value.reason
