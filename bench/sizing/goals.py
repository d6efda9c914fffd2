"""How well the count follows: the figures that docs/rightsizing.md promises, on a running cluster.

It needs a running cluster with Prometheus and the autoscaler (`scripts/cluster up`), on a machine
that does nothing else. Each run begins with two allocations and a Prometheus without history; the
load test judges it, and its report is kept. At the end, and after a Ctrl-C, the jobs are as they
were, and what was measured is printed.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from bench.figures import Figures, conditions, table
from bench.parts.cli import report as parts_report
from bench.parts.looks import Looks
from bench.sizing import loads
from bench.sizing.compare import NOT_REACHED, UNSOUND, UNSOUND_MEANS, keep
from bench.sizing.control import Control, measure_control
from bench.sizing.loads import Load
from bench.sizing.measures import Outcome, outcome
from bench.sizing.options import Options, add_options, options_of
from bench.sizing.path import PARTS, Facts, first_with, path
from bench.sizing.record import Run
from bench.sizing.signals import PROPOSED, RulesError, rules_for
from bench.sizing.staging import LEAST, RULES, Setting, Stage, refuse, staged
from bench.sizing.trials import FAILURES, Patience, Trial, trial
from harness.cluster import Cluster
from tools.root import ROOT
from tools.say import fail, say

AWAY_SECONDS = 35
"""How long Prometheus is not there, in a load that is long enough."""
DOWN_SECONDS = 40
"""One allocation fewer each 30 s, and what Nomad takes for it."""

Values = dict[str, float | None]
"""By figure; None where it was not reached."""
Results = Mapping[tuple[str, str], Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Bench:
    """What every case needs."""

    stage: Stage
    options: Options
    rules: str

    def setting(self, **more: object) -> Setting:
        """Two allocations and the autoscaler, unless it is said otherwise."""
        return replace(Setting(self.rules, self.options.limit), **more)  # type: ignore[arg-type]

    def run(
        self,
        load: Load,
        where: str,
        setting: Setting,
        meanwhile: Callable[[Trial], None] = lambda _: None,
    ) -> tuple[Run, Outcome]:
        """A run, with something done to the cluster meanwhile."""
        self.stage.prepare(setting)
        with trial(load, self.options.folder / where) as running:
            meanwhile(running)
            run = running.finish()
        found = outcome(run, load.rises_at, load.falls_at)
        keep(self.options, where, found)
        return run, found


def step(bench: Bench, round_: int) -> Values:
    """From one limit to the top at once: each part of the way, and what is refused."""
    load = loads.step(bench.options.shape(round_))
    run, found = bench.run(load, f"{round_}-step", bench.setting())
    facts = Facts(bench.stage.wanted(run.began), bench.stage.asked(), bench.stage.allocations())
    rises, falls = load.rises_at or 0.0, load.falls_at or 0.0
    parts = asdict(path(run, rises, falls, load.needs, facts))
    surplus = load.top - LEAST * bench.options.limit
    return {
        **{f"s from the step until {words}": parts[name] for name, words in PARTS.items()},
        "refused, events": found.refused,
        "refused, s of what is too much": found.refused / surplus,
        **common(found),
    }


def bursts_alone(bench: Bench, round_: int) -> Values:
    """A burst train, and two allocations whatever comes."""
    return _bursts(bench, f"{round_}-bursts-alone", round_, bench.setting(autoscaling=False))


def bursts_scaled(bench: Bench, round_: int) -> Values:
    """The same burst train, with the autoscaler."""
    return _bursts(bench, f"{round_}-bursts-scaled", round_, bench.setting())


def bursts_floor(bench: Bench, round_: int) -> Values:
    """The same burst train, with the calendar's floor from before it."""
    setting = bench.setting(floor=bench.options.most)
    return _bursts(bench, f"{round_}-bursts-floor", round_, setting)


def _bursts(bench: Bench, where: str, round_: int, setting: Setting) -> Values:
    _, found = bench.run(loads.bursts(bench.options.shape(round_)), where, setting)
    return {"allocations, mean": found.mean_running, **common(found)}


def steady(bench: Bench, round_: int) -> Values:
    """A noisy load without a trend."""
    load = loads.steady(bench.options.shape(round_))
    _, found = bench.run(load, f"{round_}-steady", bench.setting())
    return {
        "changes in the run": found.changes,
        "changes per hour": found.changes_an_hour,
        **common(found),
    }


def down(bench: Bench, round_: int) -> Values:
    """As many as there can be, and a load that one takes: what a fall of the count costs."""
    most = bench.options.most
    lasts = bench.options.look_back_seconds + (most - LEAST) * DOWN_SECONDS
    load = loads.constant(replace(bench.options.shape(round_), seconds=lasts))
    run, found = bench.run(load, f"{round_}-down", bench.setting(count=most))
    least = min((one.wanted for one in run.allocations), default=most)
    return {"allocations fewer": most - least, "refused, events": found.refused, **common(found)}


def killed(bench: Bench, round_: int) -> Values:
    """The autoscaler is killed at the moment of a step."""
    load = loads.step(bench.options.shape(round_))
    rises = load.rises_at or 0.0

    def kill(running: Trial) -> None:
        running.await_second(rises)
        bench.stage.kill_autoscaler()

    run, found = bench.run(load, f"{round_}-autoscaler-killed", bench.setting(), kill)
    return _back(bench, load, run, found, run.began + rises)


def away(bench: Bench, round_: int) -> Values:
    """Prometheus' job is stopped at the moment of a step, and run again a while later."""
    load = loads.step(bench.options.shape(round_))
    rises, falls = load.rises_at or 0.0, load.falls_at or 0.0
    lasts = min(AWAY_SECONDS, (falls - rises) / 3)
    returned = [0.0]

    def stop(running: Trial) -> None:
        running.await_second(rises)
        bench.stage.stop_prometheus()
        running.await_second(rises + lasts)
        returned[0] = time.time()
        bench.stage.start_prometheus()

    run, found = bench.run(load, f"{round_}-prometheus-away", bench.setting(), stop)
    return _back(bench, load, run, found, returned[0])


def _back(bench: Bench, load: Load, run: Run, found: Outcome, since: float) -> Values:
    """Whether the count follows after `since`, a Unix time."""
    asked = first_with(bench.stage.asked(), LEAST + 1, since)
    rises, falls = load.rises_at or 0.0, load.falls_at or 0.0
    meanwhile = [one.wanted for one in run.allocations if run.began + rises <= one.at]
    before_fall = asked is not None and asked <= run.began + falls
    return {
        "s until more were asked of Nomad": asked - since if asked and before_fall else None,
        "s from the step to capacity": found.capacity_seconds,
        "lowest count": min(meanwhile, default=0),
        **common(found),
    }


def common(found: Outcome) -> Values:
    """What every case tells."""
    return {
        "refused, %": 100 * found.refused_share,
        "failed otherwise, events": found.failed,
        UNSOUND: 0.0 if found.sound else 1.0,
    }


CASES: dict[str, Callable[[Bench, int], Values]] = {
    "step": step,
    "bursts-alone": bursts_alone,
    "bursts-scaled": bursts_scaled,
    "bursts-floor": bursts_floor,
    "steady": steady,
    "down": down,
    "autoscaler-killed": killed,
    "prometheus-away": away,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = _parser()
    given = parser.parse_args(arguments)
    options = options_of(given, parser)
    if reason := refuse():
        fail(reason)
    say(options.about(options.rounds * len(given.cases) + 1))
    results: dict[tuple[str, str], list[float | None]] = {}
    control: Control | None = None
    looks = Looks()
    try:
        with staged(Cluster()) as stage, looks:
            if stage.fits < options.most:
                fail(f"there is room for {stage.fits} allocations: --most {stage.fits}")
            text = (ROOT / "prometheus" / RULES).read_text()
            rules = rules_for(text, PROPOSED, 0, options.look_back_seconds)
            control = measure_control(stage, options, rules)
            for case, values in _rounds(Bench(stage, options, rules), given.cases):
                for figure, value in values.items():
                    results.setdefault((case, figure), []).append(value)
    except (RulesError, *FAILURES) as error:
        fail(str(error))
    finally:
        if results and control is not None:
            print("\n".join(report(results, options, control)))
            print(f"\nMeanwhile, by part: {parts_report(looks.taken)}")
    return 0


def _rounds(bench: Bench, cases: Sequence[str]) -> Iterator[tuple[str, Values]]:
    patience = Patience()
    for round_ in range(1, bench.options.rounds + 1):
        for name in cases:
            say(f"round {round_}/{bench.options.rounds}, {name}")
            with patience.kept(f"{round_}-{name}"):
                values = CASES[name](bench, round_)
                shown = (f"{figure} {shown_value([value])}" for figure, value in values.items())
                say(f"{name}: {'; '.join(shown)}")
                yield name, values


def report(results: Results, options: Options, control: Control) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"Medians (smallest-largest) of up to {options.rounds} rounds; {options.words()}"
    yield f"{control.words()}; {conditions()}\n"
    rows = [
        [case, figure, shown_value(values), str(len(values))]
        for (case, figure), values in results.items()
        if figure != UNSOUND
    ]
    yield table(["case", "figure", "median (range)", "runs"], rows)
    unsound = {
        case: sum(map(bool, values)) for (case, one), values in results.items() if one == UNSOUND
    }
    if any(unsound.values()):
        where = ", ".join(f"{number} of {case}" for case, number in unsound.items() if number)
        yield f"\n{UNSOUND}: {where}. {UNSOUND_MEANS}"


def shown_value(values: Sequence[float | None]) -> str:
    """Median and range; one alone as it is. What was not reached is named."""
    known = [one for one in values if one is not None]
    digits = 0 if all(float(one).is_integer() for one in known) else 1
    words = []
    if len(known) == 1:
        words.append(f"{known[0]:,.{digits}f}")
    elif known:
        words.append(Figures(known).show(digits))
    missing = len(values) - len(known)
    if missing:
        words.append(NOT_REACHED if len(values) == 1 else f"{NOT_REACHED} in {missing}")
    return ", ".join(words)


def _parser() -> argparse.ArgumentParser:
    listed = [f"  {name:<18} {(case.__doc__ or '').strip()}" for name, case in CASES.items()]
    parser = argparse.ArgumentParser(
        prog="scripts/bench right-sizing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                "cases:",
                *listed,
                "",
                "examples:",
                "  scripts/bench right-sizing",
                "  scripts/bench right-sizing --minutes 2 --rounds 1 --cases step down",
            ]
        ),
    )
    add_options(parser, "right-sizing")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES], metavar="CASE")
    return parser
