"""The command line: arguments in, settings out, exit code back."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tgibf.arguments import number, whole
from tgibf.events import MAX_BATCH
from tgibf.files_limit import FilesLimitError
from tgibf.key import KeyFileError, read_key
from tgibf.ledger import LedgerError
from tgibf.run import run
from tgibf.schedule import HIGHEST_RATE, LEAST_RATE, ScheduleError, Step, parse_steps
from tgibf.series import SeriesError
from tgibf.settings import BurstPlan, Settings, SteadyPlan
from tgibf.target import Target, TargetError, parse_target
from tgibf.version import VERSION

_DESCRIPTION = """\
Thank God It's Black Friday: POSTs call events to a webhook, as the telephony provider does, and
accounts for each of them. Each event is drawn at random from 40 fixed ones.

burst mode (the default):
  Burst i sends i x 1000 events at once, each on its own connection. When all are answered it waits
  2 s and continues with i + 1. After a burst in which a connection failed (refused, reset, closed
  without an answer, timed out; not an HTTP error) i steps back by 2.
steady mode (--rate, --step):
  Sends events at even intervals, whatever the answers. Latency counts from the moment an event was
  due.

Without --bursts or --seconds it runs until Ctrl-C or SIGTERM. Then it starts nothing new, waits
for the events in flight and prints the summary; a second Ctrl-C drops them."""

_EPILOG = """\
outcomes:
  acked    the answer was 200
  refused  certainly not stored: no connection, or an HTTP error that says so
  unknown  neither is certain: no complete answer came, or it leaves the outcome open

examples:
  python -m tgibf http://127.0.0.1:8080
  python -m tgibf http://127.0.0.1:8080 --bursts 5 --seed 1
  python -m tgibf http://127.0.0.1:8080 --burst-size 10000 --bursts 1 --json
  python -m tgibf http://node-1:9999 http://node-2:9999 --rate 5000 --keep-alive --seconds 60
  python -m tgibf http://127.0.0.1:8080 --step 0:100,60:600,120:100 --seconds 180
  python -m tgibf https://example.com/hook --rate 20000 --batch 100 --ledger run.ledger
  WEBHOOK="http://node-1:9999 http://node-2:9999" python -m tgibf

exit codes:
  0 every event was acked    1 some were refused or unknown, or a file could not be written, or was
  removed    2 wrong usage, or it could not begin    130, 143 stopped, by SIGINT or SIGTERM, before
  anything was sent"""


def main(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Run the command; the exit code. Raises SystemExit for --help and for wrong arguments."""
    parser = _parser()
    settings = parse(parser, arguments, os.environ if environment is None else environment)
    try:
        summary = run(settings)
    except (TargetError, LedgerError, SeriesError) as error:
        parser.error(str(error))
    except FilesLimitError as error:
        print(f"tgibf: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"tgibf: the run broke off: {error}", file=sys.stderr)
        return 1
    print(summary.as_json() if settings.json else summary.as_text())
    return 0 if summary.all_acked and summary.whole else 1


def parse(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    environment: Mapping[str, str],
) -> Settings:
    """The settings in the arguments; the parser's usage error, exit code 2, if they are wrong."""
    given = parser.parse_args(arguments)
    for name in ("burst_size", "pause", "bursts"):
        if given.steps is not None and getattr(given, name) is not None:
            option = name.replace("_", "-")
            parser.error(f"--{option} is for burst mode: not allowed with --rate or --step")
    if given.append_ledger and given.ledger is None:
        parser.error("--append-ledger needs --ledger FILE")
    try:
        key = read_key(given.key_file) if given.key_file else None
    except KeyFileError as error:
        parser.error(f"--key-file: {error}")
    return Settings(
        targets=_targets(parser, given.urls, environment),
        key=key,
        plan=_plan(given),
        seconds=given.seconds,
        batch=given.batch,
        keep_alive=given.keep_alive,
        failover=given.failover,
        timeout=given.timeout,
        seed=given.seed,
        ledger=given.ledger,
        append_ledger=given.append_ledger,
        series=given.series,
        json=given.json,
        quiet=given.quiet,
    )


def _plan(given: argparse.Namespace) -> BurstPlan | SteadyPlan:
    if given.steps is not None:
        return SteadyPlan(given.steps)
    default = BurstPlan()
    return BurstPlan(
        size=default.size if given.burst_size is None else given.burst_size,
        pause=default.pause if given.pause is None else given.pause,
        bursts=given.bursts,
    )


def _targets(
    parser: argparse.ArgumentParser, urls: Sequence[str], environment: Mapping[str, str]
) -> tuple[Target, ...]:
    origin = "URL" if urls else "environment variable WEBHOOK"
    texts = urls or environment.get("WEBHOOK", "").split()
    if not texts:
        parser.error("no webhook: give a URL, or set the environment variable WEBHOOK to one")
    try:
        return tuple(parse_target(text) for text in texts)
    except TargetError as error:
        parser.error(f"{origin}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tgibf",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "urls",
        metavar="URL",
        nargs="*",
        help="the webhook, http or https; events go to several in turn; the default path is"
        " /events; without URL: the environment variable WEBHOOK, URLs separated by spaces",
    )
    parser.add_argument("--version", action="version", version=f"tgibf {VERSION}")
    _add_mode_arguments(parser)
    _add_request_arguments(parser)
    _add_report_arguments(parser)
    return parser


def _add_mode_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("mode")
    group.add_argument(
        "--burst-size", metavar="N", type=whole(1), help="burst i has i x N events (default 1000)"
    )
    group.add_argument(
        "--pause",
        metavar="SECONDS",
        type=number(0, 3600),
        help="time between the last answer of a burst and the next burst (default 2)",
    )
    group.add_argument("--bursts", metavar="N", type=whole(1), help="stop after N bursts")
    steady = group.add_mutually_exclusive_group()
    steady.add_argument(
        "--rate",
        dest="steps",
        metavar="N",
        type=_one_rate,
        help="steady mode, N events per second",
    )
    steady.add_argument(
        "--step",
        dest="steps",
        metavar="SECOND:RATE,...",
        type=_steps,
        help="steady mode, from each SECOND on with RATE events per second, such as 0:100,120:600",
    )
    group.add_argument(
        "--seconds",
        metavar="N",
        type=number(0.001, 1_000_000),
        help="start nothing new after N seconds",
    )


def _one_rate(text: str) -> tuple[Step, ...]:
    return (Step(0, number(LEAST_RATE, HIGHEST_RATE)(text)),)


def _steps(text: str) -> tuple[Step, ...]:
    try:
        return parse_steps(text)
    except ScheduleError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_request_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("requests")
    group.add_argument(
        "--keep-alive",
        action="store_true",
        help="reuse connections, instead of one for every POST",
    )
    group.add_argument(
        "--failover",
        action="store_true",
        help="skip a webhook if it fails or does not answer for 2 s: it gets one POST per second"
        " until one is answered",
    )
    group.add_argument(
        "--batch",
        metavar="N",
        type=whole(1, MAX_BATCH),
        default=1,
        help="events per POST, as a JSON array (default 1: the bare object); rates and bursts"
        " still count events",
    )
    group.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=number(0.1, 120),
        default=30.0,
        help="limit from the start of a POST to the end of its answer (default 30)",
    )
    group.add_argument(
        "--key-file",
        metavar="FILE",
        type=Path,
        help="show the key in FILE, which only its owner can read: whsec_... signs each POST"
        " (Standard Webhooks), basic USER PASSWORD and bearer TOKEN are sent along",
    )
    group.add_argument(
        "--seed",
        metavar="N",
        type=whole(0),
        help="draw the same events every time",
    )


def _add_report_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("report")
    group.add_argument(
        "--ledger",
        metavar="FILE",
        type=Path,
        help='give every event a unique "id", and write a line with the id and the outcome of'
        " each to FILE, which must be new or empty",
    )
    group.add_argument(
        "--append-ledger", action="store_true", help="add to the ledger if it has lines already"
    )
    group.add_argument(
        "--series",
        metavar="FILE",
        type=Path,
        help="write each second's figures to FILE, one JSON object per line; FILE must be new",
    )
    group.add_argument("--json", action="store_true", help="print the summary as a JSON object")
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")
