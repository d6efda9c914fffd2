"""What is sampled, and what becomes of a sampler that fails."""

from collections.abc import Iterator, Sequence

import pytest

from harness.waiting import wait_for
from loadtest.record import AllocationSample
from loadtest.targets.contract import Target
from loadtest.watch import samplers
from loadtest.watch.samplers import Sampler
from loadtest.watch.watch import Watch


class Unwell(Target):
    """Nobody answers, and looking at its allocations fails."""

    def __init__(self) -> None:
        self.name = "unwell"
        self.urls = ["http://127.0.0.1:1"]
        self.store = ""
        self.known_versions = {}

    def receivers(self) -> Sequence[str]:
        return self.urls

    def allocations(self) -> list[AllocationSample]:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "EVERY_SECONDS", 0.01)


@pytest.mark.usefixtures("often")
def test_a_sample_that_fails_is_missing_and_the_next_is_taken() -> None:
    answers: Iterator[list[int]] = iter([[1], [2], [3]])
    calls: list[int] = []

    def take() -> list[int]:
        calls.append(len(calls))
        if len(calls) in {2, 3}:
            raise PermissionError(1, "Operation not permitted")
        return next(answers, [])

    sampler = Sampler("machine", take, [])
    sampler.start()
    wait_for(lambda: len(sampler.samples) == 3, "three samples", 10)
    sampler.stop()
    assert sampler.samples == [1, 2, 3]
    assert sampler.trouble.startswith("samples of the machine are missing, 2 times; the last time")
    assert "Operation not permitted" in sampler.trouble


@pytest.mark.usefixtures("often")
def test_what_fails_is_a_warning_of_the_run() -> None:
    watch = Watch(Unwell(), [], "lo")
    watch.start()
    try:
        wait_for(lambda: watch.troubles and watch.samples.count, "what fails, and the rest", 10)
    finally:
        watch.stop()
    (warning,) = watch.troubles
    assert warning.startswith("samples of the allocations are missing")
