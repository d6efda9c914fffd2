"""What clients see when a node of the cluster fails, in any way, whatever it leads.

It needs a running cluster (`scripts/cluster up`). Three generators send 50 events/s each, one to
each node's door (its Fabio). Or one generator sends 150/s, knows all doors, and leaves out one that
does not answer. The benchmark stops if an event is lost or counted wrongly.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.figures import conditions, table
from cluster.faults import FAULTS
from cluster.findings import sized_by_itself
from harness.cluster import Cluster
from harness.hurting import ROLES, Case, Report, run
from tools.say import fail, say

SECONDS = {"hang": (10.0, 33.0), "drain": (45.0,), "parted": (28.0,)}
"""How long each lasts, unless it is the usual time."""
USUAL_SECONDS = (25.0,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="faults:\n" + "\n".join(f"  {one.name:<8} {one.meaning}" for one in FAULTS),
    )
    names = [one.name for one in FAULTS]
    parser.add_argument("--fault", nargs="+", choices=names, default=names, metavar="FAULT")
    parser.add_argument("--role", nargs="+", choices=ROLES, default=["both"])
    parser.add_argument("--kept-alive", action="store_true", help="use kept-alive connections")
    parser.add_argument(
        "--one-client",
        action="store_true",
        help="use one generator that knows the doors of all nodes",
    )
    parser.add_argument("--seconds", type=float, help="how long each fault lasts")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="append a line for each to FILE")
    settings = parser.parse_args(arguments)
    cluster = Cluster()
    if not cluster.runs:
        fail("there is no cluster; scripts/cluster up")
    if sized_by_itself():
        fail("the autoscaler would change the count meanwhile: scripts/cluster up --no-autoscaling")
    rows = []
    for case in cases(settings):
        say(str(case))
        if reason := case.fault.missing():
            say(f"not here: {reason}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            report = run(cluster, case, Path(folder))
        say(f"{report.verdict}; errors {report.seen.errors}")
        rows.append(row(case, report))
        if settings.json:
            with settings.json.open("a") as file:
                line = {"case": str(case), "verdict": report.verdict, **asdict(report.seen)}
                print(json.dumps(line), file=file)
    print(conditions())
    print(table(HEADER, rows))
    return 0


def cases(settings: argparse.Namespace) -> Iterator[Case]:
    """What was asked for."""
    for _ in range(settings.rounds):
        for one in FAULTS:
            if one.name not in settings.fault:
                continue
            lasting = (settings.seconds,) if settings.seconds else None
            for seconds in lasting or SECONDS.get(one.name, USUAL_SECONDS):
                for role in settings.role:
                    yield Case(one, role, seconds, settings.kept_alive, settings.one_client)


HEADER = (
    "fault",
    "< 1 % failed after",
    "failed until then",
    "longest silence of a living door",
    "unknown",
    "refused",
    "of",
    "well again after",
)


def row(case: Case, report: Report) -> tuple[str, ...]:
    """The case as a line of the table."""
    seen = report.seen
    return (
        str(case),
        f"{seen.recovered_seconds:.0f} s",
        f"{seen.failed_share:.0%}",
        f"{seen.silent_seconds:.1f} s",
        f"{seen.unknown}",
        f"{seen.refused}",
        f"{seen.attempted:,}",
        f"{report.healed_seconds:.0f} s",
    )
