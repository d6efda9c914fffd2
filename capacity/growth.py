"""What changes from one allocation to a thousand, and where the design stops. Pure arithmetic.

The reads per count grow with the number of lanes that have written lately. They were measured for
one lane and for sixteen, and are extrapolated linearly from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from capacity.constants import Constants
from capacity.sizing import Connections, costs_of

LANES = 2
"""Per allocation: the setting's default."""
STEPS = (1, 10, 100, 1000)


@dataclass(frozen=True, slots=True)
class Step:
    """A number of allocations that are all at work."""

    allocations: int
    events_per_second: float
    cores: float
    """In total, each fully busy."""
    lanes: int
    reads_a_get: float
    get_ms: float
    reads_per_second: float
    """When each allocation is asked for the count once a second."""
    partitions_a_minute: int
    """Of events, at least."""


def growth(
    constants: Constants, busy: float, connections: Connections, steps: Sequence[int] = STEPS
) -> list[Step]:
    """Each step with its figures; `busy` is the fraction of a core that an allocation uses."""
    costs = costs_of(connections, constants)
    found = []
    for allocations in steps:
        events = allocations * busy * 1e6 / costs.webhook
        lanes = allocations * LANES
        reads = _along(lanes, constants.reads_with_1_lane, constants.reads_with_16_lanes)
        found.append(
            Step(
                allocations=allocations,
                events_per_second=events,
                cores=events * costs.all / 1e6,
                lanes=lanes,
                reads_a_get=reads,
                get_ms=_along(lanes, constants.get_ms_with_1_lane, constants.get_ms_with_16_lanes),
                reads_per_second=reads * allocations,
                partitions_a_minute=lanes,
            )
        )
    return found


def _along(lanes: int, with_1: float, with_16: float) -> float:
    """The line through what was measured with 1 lane and with 16."""
    return with_1 + (lanes - 1) * (with_16 - with_1) / 15
