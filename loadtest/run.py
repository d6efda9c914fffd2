"""A run, from its start to its record."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from loadtest import facts
from loadtest.display import Display, State
from loadtest.generators import Generator
from loadtest.interrupts import Interrupts
from loadtest.plan import Plan
from loadtest.record import (
    SCHEMA,
    GeneratorRecord,
    Record,
    Samples,
    TargetRecord,
    Verdict,
)
from loadtest.scaling import Scaling
from loadtest.targets.contract import Target, TargetUnavailable
from loadtest.targets.opening import open_target
from loadtest.verdict.judging import (
    NotToBeJudgedError,
    acknowledged,
    judge_counts,
    judge_ledger,
)
from loadtest.watch import limits
from loadtest.watch.client import NoAnswerError
from loadtest.watch.counts import Counts, baseline, window_seconds
from loadtest.watch.machine import interface_to
from loadtest.watch.watch import Watch
from tgibf.version import VERSION
from tools.say import say
from webhook.store.contract import StartError

TICK_SECONDS = 0.2
SETTLED_WITHIN_SECONDS = 150.0
"""Receivers repeat a write of unknown outcome for two minutes."""
SETTLE_EVERY_SECONDS = 5.0


def run(plan: Plan, directory: Path) -> Record:
    """Do what the plan says, with files in `directory`; the record, judged.

    Raises TargetUnavailable.
    """
    interrupts = Interrupts()
    with interrupts.counted(), open_target(plan, directory) as target:
        return _Run(plan, target, directory, interrupts).run()


class _Run:
    def __init__(self, plan: Plan, target: Target, directory: Path, interrupts: Interrupts) -> None:
        self._plan = plan
        self._target = target
        self._directory = directory
        self._interrupts = interrupts
        self._generators = [
            Generator(load, target.event_urls, plan.seconds, directory) for load in plan.loads
        ]
        self._scaling = Scaling(target, plan.steps)

    def run(self) -> Record:
        self._interrupts.heed()
        url = self._target.urls[0]
        # Facts are asked for before the load: what it has cost is not lost by one of them.
        warnings: list[str] = []
        host = self._target.host
        interface = facts.told("the interface", lambda: interface_to(host), warnings)
        machine = facts.machine(warnings)
        commit = facts.told("the commit", facts.commit, warnings)
        try:
            window, before = window_seconds(url), baseline(url)
        except NoAnswerError as error:
            raise TargetUnavailable(f"{url}: no count is available: {error}") from error
        self._interrupts.heed()
        began = time.time()
        with ExitStack() as stack:
            for generator in self._generators:
                stack.enter_context(generator)
            watch = Watch(self._target, self._generators, interface)
            watch.start()
            stack.callback(watch.stop)
            self._scaling.start()
            stack.callback(self._scaling.stop)
            self._load(watch)
            ended = time.time()
            generators = [one.finish() for one in self._generators]
        record = Record(
            schema=SCHEMA,
            began=round(began, 3),
            load_ended=round(ended, 3),
            planned_seconds=self._plan.seconds,
            interrupted=self._interrupts.count > 0,
            target=TargetRecord(
                self._target.name,
                list(self._target.urls),
                _shown_store(self._target.store, self._directory),
                window,
                interface,
            ),
            baseline=before,
            generators=generators,
            marks=self._scaling.marks,
            warnings=[*warnings, *watch.troubles, *_warnings(generators, watch.samples)],
            machine=machine,
            versions=_versions(self._target, watch.samples),
            commit=commit,
            samples=watch.samples,
            verdict=Verdict(None, None),
        )
        record.verdict = self._judge(record)
        return record

    def _load(self, watch: Watch) -> None:
        """Until every generator has ended; shows how it goes."""
        display = Display()
        began = time.monotonic()
        while any(generator.runs for generator in self._generators):
            for generator in self._generators:
                generator.follow()
                generator.interrupt(self._interrupts.count)
            display.show(self._state(watch, time.monotonic() - began))
            time.sleep(TICK_SECONDS)
        display.close()

    def _state(self, watch: Watch, elapsed: float) -> State:
        samples = watch.samples
        totals: Counter[str] = Counter()
        for generator in self._generators:
            totals.update(generator.totals)
        recent = {name: seconds[-limits.RECENT :] for name, seconds in samples.load.items()}
        return State(
            target=self._target.name,
            elapsed=elapsed,
            seconds=self._plan.seconds,
            samples=samples,
            totals=totals,
            stopping=self._interrupts.count > 0 or elapsed > self._plan.seconds,
            warnings=[
                *watch.troubles,
                *limits.warnings(recent, samples.machine[-limits.RECENT :]),
            ],
        )

    def _judge(self, record: Record) -> Verdict:
        if broken := [f"{one.name}: {one.error}" for one in record.generators if one.error]:
            return Verdict(None, None, broken[0])
        counts = Counts(self._target.urls)
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        unknown = any(generator.totals["unknown"] for generator in self._generators)
        try:
            while True:
                verdict = self._judge_once(record, counts)
                settled = verdict.valid or not verdict.acknowledged or not unknown
                if settled or time.monotonic() > deadline:
                    return verdict
                say("outcomes that were unknown may still settle; judging again")
                time.sleep(SETTLE_EVERY_SECONDS)
        except (NotToBeJudgedError, StartError) as error:
            return Verdict(None, None, str(error))
        finally:
            counts.close()

    def _judge_once(self, record: Record, counts: Counts) -> Verdict:
        ledger, received = None, None
        if self._target.store:
            say("comparing the ledger with the store, event by event")
            files = [generator.ledger for generator in self._generators]
            ledger, received = judge_ledger(files, self._target.store, record.began, say)
        final = counts.everywhere()
        load = record.samples.load
        return Verdict(
            ledger,
            judge_counts(record.samples.count, final, load, received, record.baseline),
            acknowledged=acknowledged(ledger, load),
        )


def _warnings(generators: Sequence[GeneratorRecord], samples: Samples) -> list[str]:
    found = limits.warnings(samples.load, samples.machine)
    for generator in generators:
        # What TGIBF says of its own schedule is among the others already.
        told = (generator.summary or {}).get("warnings", [])
        found += [f"{generator.name}: {text}" for text in told if "schedule" not in text]
    return found


def _shown_store(store: str, directory: Path) -> str:
    """The store's URL as it may be kept: without a password, and relative to the report."""
    scheme, mark, rest = store.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}".replace(f"{directory}/", "")


def _versions(target: Target, samples: Samples) -> dict[str, str]:
    receivers = {sample.version for sample in samples.receivers if sample.version}
    return {
        "receivers": ", ".join(sorted(receivers)) or "not told",
        "TGIBF": VERSION,
        **target.known_versions,
    }
