"""The command line: arguments in, a plan out. It needs nothing but Python."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.plan import Load, Plan, PlanError, parse_steps
from loadtest.urls import base_url
from tgibf.arguments import number, whole
from tgibf.schedule import HIGHEST_RATE, ScheduleError, Step
from tgibf.schedule import parse_steps as parse_rates
from tgibf.target import TargetError, parse_target

NAMED_TARGETS = ("demo", "cluster", "vagrant", "kubernetes")
SCALABLE = ("cluster", "vagrant", "kubernetes")
MINUTES = 35.0
BURST_SIZE = 1000

DESCRIPTION = """\
Send events for half an hour or more, sample everything once per second, and check every event and
every count. The report is one page, report.json with every sample, and the charts as PNG.

targets:
  demo        its own receiver on SQLite (the default)
  cluster     the three nodes of scripts/cluster, through each node's load balancer
  vagrant     the same on virtual machines
  kubernetes  the nodes of scripts/kubernetes, through the webhook's port on each
  URL         any receiver, such as http://127.0.0.1:8080 or, behind a proxy's path,
              https://example.com/calls: events go to URL/events

The load is TGIBF's bursts, or --rate N events per second, or a rate that changes (--step), or
bursts and one of the others at once: --bursts --rate N.
Ctrl-C ends the load, waits for what is in flight, and still judges and reports. A second Ctrl-C
drops what is in flight, a third one everything."""

EPILOG = """\
examples:
  scripts/loadtest
  scripts/loadtest --rate 500 --keep-alive
  scripts/loadtest --target cluster --step "0:100,120:600,600:100" --minutes 15
  scripts/loadtest --target cluster --minutes 40 --scale "300:4,900:1,1500:3"
  scripts/loadtest --target http://10.0.0.7:8080 --seconds 60
  scripts/loadtest --again report/2026-11-27T12-00-00Z/report.json
  scripts/loadtest --judge report/2026-11-27T12-00-00Z

exit codes:
  0 valid: no acknowledged event is lost, no unexpected one is stored, every count was right;
    a run that Ctrl-C ended early is judged like any other
  1 INVALID: one of these does not hold, no event was acknowledged, or it could not be judged
  2 it could not begin, or wrong usage
  129, 130, 143 given up: 128 + the last signal"""


@dataclass(frozen=True, slots=True)
class Again:
    """Make the report again from its record."""

    record: Path


@dataclass(frozen=True, slots=True)
class Judge:
    """Judge a finished run again; its ledger and store must still exist."""

    directory: Path
    store: str
    """Replaces the store in the record, unless empty."""


def parse(arguments: Sequence[str] | None = None) -> Plan | Again | Judge:
    """What the arguments ask for; the usage error, exit code 2, if they are wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.again is not None:
        return Again(given.again)
    if given.judge is not None:
        return Judge(given.judge, given.store)
    try:
        return _plan(given)
    except PlanError as error:
        parser.error(str(error))


def _plan(given: argparse.Namespace) -> Plan:
    named = given.target in NAMED_TARGETS
    if not named and not given.target.startswith(("http://", "https://")):
        raise PlanError(f"--target {given.target}: allowed is a URL or {', '.join(NAMED_TARGETS)}")
    if not named:
        try:
            parse_target(given.target)
        except TargetError as error:
            raise PlanError(f"--target {error}") from error
    if given.store and named:
        raise PlanError("--store is for a target URL; the other targets have their own")
    if given.scale and given.target not in SCALABLE:
        raise PlanError(
            f"--scale needs a target that can be scaled: --target {' or '.join(SCALABLE)}"
        )
    if given.window is not None and given.target != "demo":
        raise PlanError("--window is for the demo's receiver; others have their own")
    seconds = given.minutes * 60 if given.seconds is None else given.seconds
    return Plan(
        target=given.target if named else base_url(given.target),
        seconds=seconds,
        loads=_loads(given),
        steps=given.scale,
        store=given.store,
        window_seconds=given.window or 1800,
        port=given.port,
        report=given.report or Path("report") / time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime()),
        keep=given.keep,
    )


def _loads(given: argparse.Namespace) -> tuple[Load, ...]:
    for name in ("keep_alive", "batch"):
        if given.rates is None and getattr(given, name):
            option = name.replace("_", "-")
            raise PlanError(f"--{option} is for a steady rate: give --rate N or --step too")
    loads = []
    if given.bursts or given.rates is None:
        loads.append(Load("bursts", (), ("--burst-size", str(given.burst_size))))
    elif given.burst_size != BURST_SIZE:
        raise PlanError("--burst-size is for bursts: give --bursts too")
    if given.rates is not None:
        options = _rate_options(given.rates)
        options += ["--keep-alive"] * given.keep_alive
        options += ["--batch", str(given.batch)] * bool(given.batch)
        loads.append(Load("steady", given.rates, tuple(options)))
    return tuple(loads)


def _rate_options(rates: Sequence[Step]) -> list[str]:
    """For TGIBF."""
    if len(rates) == 1:
        return ["--rate", f"{rates[0].rate:g}"]
    return ["--step", ",".join(f"{step.second:g}:{step.rate:g}" for step in rates)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/loadtest",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--target", default="demo", metavar="|".join((*NAMED_TARGETS, "URL")))
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        type=number(0.01, 100_000),
        default=MINUTES,
        metavar="N",
        help=f"how long to send (default {MINUTES:g}: the window of 30 plus a little)",
    )
    length.add_argument("--seconds", type=number(1, 1_000_000), metavar="N", help="the same")
    parser.add_argument(
        "--scale",
        type=_steps,
        default=(),
        metavar="SECOND:COUNT,...",
        help="scale to COUNT allocations at SECOND; at the end to as many as before",
    )
    _add_load(parser)
    _add_target(parser)
    _add_report(parser)
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("load")
    group.add_argument(
        "--bursts", action="store_true", help="TGIBF's bursts (the default without --rate)"
    )
    group.add_argument(
        "--burst-size",
        type=whole(1, 1_000_000),
        default=BURST_SIZE,
        metavar="N",
        help="burst i has i x N events (default %(default)s)",
    )
    rate = group.add_mutually_exclusive_group()
    rate.add_argument(
        "--rate", dest="rates", type=_one_rate, metavar="N", help="events per second, steadily"
    )
    rate.add_argument(
        "--step",
        dest="rates",
        type=_rates,
        metavar="SECOND:RATE,...",
        help="from each SECOND on RATE events per second",
    )
    group.add_argument(
        "--keep-alive",
        action="store_true",
        help="with --rate or --step: reuse connections, instead of one for every POST",
    )
    group.add_argument(
        "--batch", type=whole(1, 1000), metavar="N", help="with --rate or --step: events per POST"
    )


def _add_target(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("target")
    group.add_argument(
        "--store",
        default="",
        metavar="URL",
        help="the store of a target URL, as in WEBHOOK_STORE; without it only counts can be "
        "checked. With --judge: replaces the store that the report names",
    )
    group.add_argument(
        "--window",
        type=whole(1, 86_400),
        metavar="SECONDS",
        help="the demo's window (default 1800)",
    )
    group.add_argument(
        "--port",
        type=whole(0, 65_535),
        default=8080,
        metavar="N",
        help="the demo's port (default %(default)s; a free one if it is taken)",
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("report")
    group.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="the report's folder, which must be new (default report/<UTC time>)",
    )
    group.add_argument(
        "--keep",
        action="store_true",
        help="keep the ledger and the demo's store; after an INVALID run they are always kept",
    )
    group.add_argument(
        "--again",
        type=Path,
        metavar="FILE",
        help="make page and charts again beside this report.json, identical in every byte",
    )
    group.add_argument(
        "--judge", type=Path, metavar="DIR", help="judge a finished run again, if all is kept"
    )


def _one_rate(text: str) -> tuple[Step, ...]:
    return (Step(0, number(0.1, HIGHEST_RATE)(text)),)


def _rates(text: str) -> object:
    try:
        return parse_rates(text)
    except ScheduleError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _steps(text: str) -> object:
    try:
        return parse_steps(text)
    except PlanError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
