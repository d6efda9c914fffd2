"""Everything that is sampled during a run."""

from collections.abc import Sequence
from typing import Any

from loadtest.generators import Generator
from loadtest.record import Samples
from loadtest.targets.contract import Target
from loadtest.watch.counts import Counts
from loadtest.watch.machine import Machine
from loadtest.watch.receivers import Receivers
from loadtest.watch.samplers import Sampler


class Watch:
    """All samplers of a run; `samples` has what they have seen, and what the generators told."""

    def __init__(self, target: Target, generators: Sequence[Generator], interface: str) -> None:
        """`interface` is the one that events go through; empty if it is not known."""
        self.samples = Samples(load={one.load.name: one.seconds for one in generators})
        self._counts = Counts(target.urls)
        self._receivers = Receivers(target.receivers)
        machine = Machine(interface, lambda: {one.load.name: one.pid for one in generators})
        samples = self.samples
        self._samplers: list[Sampler[Any]] = [
            Sampler("count", self._counts.take, samples.count),
            Sampler("receivers", self._receivers.take, samples.receivers),
            Sampler("allocations", target.allocations, samples.allocations),
            Sampler("machine", machine.take, samples.machine),
        ]

    def start(self) -> None:
        for sampler in self._samplers:
            sampler.start()

    @property
    def troubles(self) -> list[str]:
        """Which samples are missing and why, in words."""
        return [sampler.trouble for sampler in self._samplers if sampler.trouble]

    def stop(self) -> None:
        for sampler in self._samplers:
            sampler.stop()
        self._counts.close()
        self._receivers.close()
