"""Runs as the load test would have recorded them."""

from collections.abc import Sequence

from bench.sizing.record import Allocations, Machine, Receiver, Run, Samples, Second

BEGAN = 1_700_000_000.0


def run_of(
    refused: Sequence[int] = (),
    *,
    sent: int = 100,
    wanted: Sequence[int] = (),
    passing: Sequence[int] = (),
    receivers: Sequence[Receiver] = (),
    machine: Sequence[Machine] = (),
    seconds: int | None = None,
) -> Run:
    """A line of the load per second with so many refused, and a look at the count beside it."""
    lasts = len(refused) if seconds is None else seconds
    load = [
        Second(BEGAN + at + 1, 1.0, sent, sent - one, one, 0, {"http 503": one} if one else {})
        for at, one in enumerate(refused)
    ]
    looks = [
        Allocations(BEGAN + at, one, one, passing[at] if passing else one)
        for at, one in enumerate(wanted)
    ]
    samples = Samples({"steady": load}, looks, list(receivers), list(machine))
    return Run(BEGAN, BEGAN + lasts, samples, machine={"cores": "2"})
