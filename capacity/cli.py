"""How many allocations, nodes, disk and memory a rate of events needs, or a burst.

The arithmetic uses measured constants; capacity/constants.toml has each with the command that
measures it. docs/capacity.md explains the output, with an example.
"""

import argparse
from math import inf

from capacity import show
from capacity.constants import Constants, measured
from capacity.floor import Burst, FloorError, floor_for
from capacity.growth import growth
from capacity.sizing import Connections, Need, size
from tgibf.arguments import number, whole


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument(
        "--events-per-second",
        type=number(0.001, 1e9),
        metavar="N",
        help="the average rate, day and night",
    )
    wish.add_argument(
        "--burst",
        type=whole(1, 1_000_000_000),
        metavar="N",
        help="events at once: how many allocations must be there before, the calendar's floor",
    )
    wish.add_argument(
        "--growth",
        action="store_true",
        help="print a table of what changes from 1 allocation to 1,000",
    )
    wish.add_argument(
        "--constants", action="store_true", help="print a table of the measured constants"
    )
    parser.add_argument(
        "--peak-factor",
        type=number(1, 1e6),
        default=1,
        metavar="F",
        help="the peak rate as a multiple of the average (default 1)",
    )
    parser.add_argument(
        "--retention-days",
        type=number(0.1, 100_000),
        default=7,
        metavar="D",
        help="how long events are kept (default 7)",
    )
    parser.add_argument(
        "--connections",
        type=Connections,
        choices=list(Connections),
        default=Connections.NEW,
        help="a new one per event, as in TGIBF's bursts (default), or kept alive",
    )
    parser.add_argument(
        "--cores", type=whole(1, 4096), default=4, metavar="N", help="cores per node (default 4)"
    )
    parser.add_argument(
        "--disk",
        type=number(1, 1e6),
        default=500,
        metavar="GB",
        help="disk per node, for Cassandra (default 500)",
    )
    parser.add_argument(
        "--busy",
        type=number(0.05, 1),
        default=0.6,
        metavar="PART",
        help="how busy a core may be, at the peak, with one node dead (default 0.6)",
    )
    parser.add_argument(
        "--filled",
        type=number(0.05, 1),
        default=0.5,
        metavar="PART",
        help="how full a disk may be; compaction needs the rest (default 0.5)",
    )
    parser.add_argument(
        "--every",
        type=number(0.1, 1e6),
        default=inf,
        metavar="SECONDS",
        help="with --burst: how often such a burst comes (default: once)",
    )
    parser.add_argument(
        "--memory",
        type=whole(1, 1_000_000),
        default=2048,
        metavar="MB",
        help="with --burst: memory per node (default 2048, as the virtual machines have)",
    )
    given = parser.parse_args()
    if given.constants:
        print(show.constants(measured()))
        return 0
    constants = Constants.of(measured())
    if given.growth:
        print(show.growth(growth(constants, given.busy, given.connections)))
        return 0
    if given.burst is not None:
        burst = Burst(
            events=given.burst,
            every_seconds=given.every,
            connections=given.connections,
            cores=given.cores,
            memory_mb=given.memory,
            busy=given.busy,
        )
        try:
            print(show.floor(burst, floor_for(burst, constants)))
        except FloorError as error:
            parser.error(f"--memory: {error}")
        return 0
    need = Need(
        events_per_second=given.events_per_second,
        peak_factor=given.peak_factor,
        retention_days=given.retention_days,
        connections=given.connections,
        cores=given.cores,
        disk_gb=given.disk,
        busy=given.busy,
        filled=given.filled,
    )
    print(show.sizing(need, size(need, constants)))
    return 0
