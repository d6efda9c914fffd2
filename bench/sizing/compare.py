"""What the count may follow: six signals under four loads, on a running cluster.

It needs a running cluster with Prometheus and the autoscaler (`scripts/cluster up`), on a machine
that does nothing else. Each run begins with two allocations and a Prometheus without history; all
signals get the same loads. The load test judges each run, and its report is kept. At the end, and
after a Ctrl-C, the jobs are as they were, and what was measured is printed.

A limit leaves CPU and queues idle, so `cpu` and `held` go by what one allocation uses and holds at
its limit. They say less of a receiver that is really full.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from bench.figures import Figures, conditions, table
from bench.sizing.control import Control, measure_control
from bench.sizing.loads import LOADS, Load
from bench.sizing.measures import Outcome, outcome
from bench.sizing.options import Options, add_options, options_of
from bench.sizing.signals import BY_NAME, PROPOSED, SIGNALS, RulesError, Signal, rules_for
from bench.sizing.staging import RULES, Setting, Stage, refuse, staged
from bench.sizing.trials import FAILURES, Patience, trial
from harness.cluster import Cluster
from tools.root import ROOT
from tools.say import fail, say

Results = Mapping[tuple[str, str], Sequence[Outcome]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = _parser()
    given = parser.parse_args(arguments)
    options = options_of(given, parser)
    if reason := refuse():
        fail(reason)
    cells = [(load, BY_NAME[name]) for load in given.loads for name in given.signals]
    say(options.about(options.rounds * len(cells) + 1))
    results: dict[tuple[str, str], list[Outcome]] = {}
    found: Control | None = None
    try:
        with staged(Cluster()) as stage:
            if stage.fits < options.most:
                fail(f"there is room for {stage.fits} allocations: --most {stage.fits}")
            text = (ROOT / "prometheus" / RULES).read_text()
            plain = rules_for(text, PROPOSED, 0, options.look_back_seconds)
            found = measure_control(stage, options, plain)
            for name, signal, one in _rounds(stage, options, cells, text, found):
                results.setdefault((name, signal.name), []).append(one)
    except (RulesError, *FAILURES) as error:
        fail(str(error))
    finally:
        if results and found is not None:
            print("\n".join(report(results, options, found)))
    return 0


def report(results: Results, options: Options, control: Control) -> Iterator[str]:
    """Lines of Markdown: conditions, and a table for each load."""
    yield f"Medians (smallest-largest) of up to {options.rounds} rounds; {options.words()}"
    yield f"{control.words()}; {conditions()}"
    for load, (meaning, _) in LOADS.items():
        names = [signal.name for signal in SIGNALS if (load, signal.name) in results]
        if names:
            yield f"\n{load}: {meaning}\n"
            yield table(HEADER, [row(name, results[load, name]) for name in names])
    unsound = sum(not one.sound for runs in results.values() for one in runs)
    if unsound:
        yield f"\n{UNSOUND}: {unsound} runs. {UNSOUND_MEANS}"


HEADER = (
    "signal",
    "runs",
    "refused, %",
    "step to capacity, s",
    "changes in the run",
    "changes per hour",
    "allocations, mean",
    "allocation-minutes",
    "p99 of the taken, ms",
    "failed otherwise",
)
UNSOUND = "unsound"
UNSOUND_MEANS = (
    "More than 60 % of the machine was in use in a second with a refusal, or the load test was "
    "INVALID: they show nothing of the signal."
)
NOT_REACHED = "not reached"


def row(name: str, runs: Sequence[Outcome]) -> list[str]:
    """A signal's line of the table."""
    unsound = sum(not one.sound for one in runs)
    shown = f"{len(runs)}, {unsound} {UNSOUND}" if unsound else f"{len(runs)}"
    p99 = [one.p99_ms for one in runs if one.p99_ms is not None]
    return [
        name,
        shown,
        Figures([100 * one.refused_share for one in runs]).show(2),
        capacity([one.capacity_seconds for one in runs if one.stepped]),
        Figures([one.changes for one in runs]).show(),
        Figures([one.changes_an_hour for one in runs]).show(),
        Figures([one.mean_running for one in runs]).show(1),
        Figures([one.allocation_minutes for one in runs]).show(1),
        Figures(p99).show() if p99 else "none",
        str(sum(one.failed for one in runs)),
    ]


def capacity(seconds: Sequence[float | None]) -> str:
    """Of several runs; those that did not come to it are named."""
    known = [one for one in seconds if one is not None]
    missing = len(seconds) - len(known)
    words = [Figures(known).show(1)] if known else []
    words += [f"{NOT_REACHED} in {missing}"] * bool(missing)
    return ", ".join(words) or "-"


def _rounds(
    stage: Stage,
    options: Options,
    cells: Sequence[tuple[str, Signal]],
    text: str,
    control: Control,
) -> Iterator[tuple[str, Signal, Outcome]]:
    """Every cell once in each round, in turns."""
    patience = Patience()
    for round_ in range(1, options.rounds + 1):
        for name, signal in cells:
            where = f"{round_}-{name}-{signal.name}"
            say(f"round {round_}/{options.rounds}, {name}, {signal.name}")
            rules = rules_for(text, signal, control.cpu_each, options.look_back_seconds)
            floor = options.most if signal.floor else None
            with patience.kept(where):
                stage.prepare(Setting(rules, options.limit, floor=floor))
                one = _run(LOADS[name][1](options.shape(round_)), options, where)
                yield name, signal, one


def _run(load: Load, options: Options, where: str) -> Outcome:
    with trial(load, options.folder / where) as running:
        found = outcome(running.finish(), load.rises_at, load.falls_at)
    keep(options, where, found)
    say(
        f"{where}: {found.refused_share:.2%} refused, {found.changes} changes, "
        f"{found.mean_running:.1f} allocations{'' if found.sound else f'; {UNSOUND}'}"
    )
    return found


def keep(options: Options, where: str, one: Outcome) -> None:
    """A line for programs."""
    with (options.folder / "outcomes.jsonl").open("a") as file:
        print(json.dumps({"run": where, **asdict(one)}), file=file)


def _parser() -> argparse.ArgumentParser:
    lines = [f"  {one.name:<6} {one.meaning}" for one in SIGNALS]
    lines += ["", "loads:", *(f"  {name:<6} {meaning}" for name, (meaning, _) in LOADS.items())]
    parser = argparse.ArgumentParser(
        prog="scripts/bench signals",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                "signals:",
                *lines,
                "",
                "examples:",
                "  scripts/bench signals",
                "  scripts/bench signals --minutes 1.5 --rounds 1 --loads step --signals mean peak",
            ]
        ),
    )
    add_options(parser, "signals")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=[*LOADS], metavar="LOAD")
    parser.add_argument("--signals", nargs="+", choices=BY_NAME, default=[*BY_NAME], metavar="NAME")
    return parser
