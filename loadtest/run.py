"""A run, from its start to its record."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from loadtest import facts, limits
from loadtest.ask import NoAnswerError
from loadtest.counts import Counts, baseline, window_seconds
from loadtest.display import Display, State
from loadtest.generators import Generator
from loadtest.judging import NotToBeJudgedError, judge_counts, judge_ledger
from loadtest.machine import Machine, interface_to
from loadtest.plan import Plan
from loadtest.receivers import Receivers
from loadtest.record import (
    SCHEMA,
    GeneratorRecord,
    Record,
    Samples,
    TargetRecord,
    Verdict,
)
from loadtest.samplers import Sampler
from loadtest.scaling import Scaling
from loadtest.targets import Target, TargetUnavailable, open_target
from support.say import say
from tgibf.version import VERSION
from webhook.store.contract import StartError

TICK_SECONDS = 0.2
SAMPLED_WITHIN_SECONDS = 30.0
SETTLED_WITHIN_SECONDS = 150.0
"""Receivers repeat a write of unknown outcome for two minutes."""
SETTLE_EVERY_SECONDS = 5.0


class Interrupts:
    """Counts the signals that ask for an end; the third one raises KeyboardInterrupt."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._on_signal) for number in self.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt


class Watch:
    """All samplers of a run."""

    def __init__(self, target: Target, generators: Sequence[Generator]) -> None:
        self.samples = Samples()
        self._counts = Counts(target.urls)
        self._receivers = Receivers(target.receivers)
        machine = Machine(
            interface_to(target.host), lambda: {one.load.name: one.pid for one in generators}
        )
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

    def check(self) -> None:
        """Raise what ended a sampler, if something has."""
        for sampler in self._samplers:
            sampler.check()

    def stop(self) -> None:
        for sampler in self._samplers:
            sampler.stop()
        self._counts.close()
        self._receivers.close()


def run(plan: Plan, directory: Path) -> Record:
    """Do what the plan says, with files in `directory`; the record, judged.

    Raises TargetUnavailable.
    """
    interrupts = Interrupts()
    with ExitStack() as stack:
        stack.enter_context(interrupts.counted())
        target = stack.enter_context(open_target(plan, directory))
        return _Run(plan, target, directory, interrupts).run()


class _Run:
    def __init__(self, plan: Plan, target: Target, directory: Path, interrupts: Interrupts) -> None:
        self._plan = plan
        self._target = target
        self._directory = directory
        self._interrupts = interrupts
        self._generators = [
            Generator(load, target.urls, plan.seconds, directory) for load in plan.loads
        ]
        self._scaling = Scaling(target, plan.steps)

    def run(self) -> Record:
        url = self._target.urls[0]
        try:
            window, before = window_seconds(url), baseline(url)
        except NoAnswerError as error:
            raise TargetUnavailable(f"{url}: no count is to be had: {error}") from error
        began = time.time()
        with ExitStack() as stack:
            for generator in self._generators:
                stack.enter_context(generator)
            watch = Watch(self._target, self._generators)
            watch.samples.load = {one.load.name: one.seconds for one in self._generators}
            watch.start()
            stack.callback(watch.stop)
            self._scaling.start()
            self._load(watch)
            ended = time.time()
            generators = [one.finish() for one in self._generators]
        self._scaling.stop()
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
            ),
            baseline=before,
            generators=generators,
            marks=self._scaling.marks,
            warnings=[],
            machine=facts.machine(),
            versions=_versions(self._target, watch.samples),
            commit=facts.commit(),
            samples=watch.samples,
            verdict=Verdict(None, None),
        )
        record.warnings = self._warnings(record)
        record.verdict = self._judge(record)
        return record

    def _load(self, watch: Watch) -> None:
        """Until every generator has ended; shows how it goes."""
        display = Display()
        began = time.monotonic()
        passed_on = 0
        while any(generator.runs for generator in self._generators):
            for generator in self._generators:
                generator.follow()
                for _ in range(self._interrupts.count - passed_on):
                    generator.interrupt()
            passed_on = self._interrupts.count
            watch.check()
            display.show(self._state(watch.samples, time.monotonic() - began))
            time.sleep(TICK_SECONDS)
        display.close()

    def _state(self, samples: Samples, elapsed: float) -> State:
        totals: dict[str, int] = {}
        for generator in self._generators:
            for name, total in generator.totals.items():
                totals[name] = totals.get(name, 0) + total
        recent = {name: seconds[-limits.RECENT :] for name, seconds in samples.load.items()}
        return State(
            target=self._target.name,
            elapsed=elapsed,
            seconds=self._plan.seconds,
            samples=samples,
            totals=totals,
            stopping=self._interrupts.count > 0 or elapsed > self._plan.seconds,
            warnings=limits.warnings(recent, samples.machine[-limits.RECENT :]),
        )

    def _warnings(self, record: Record) -> list[str]:
        found = limits.warnings(record.samples.load, record.samples.machine)
        for generator in record.generators:
            summary = generator.summary or {}
            # What it says of its own schedule is among the others already.
            own = [text for text in summary.get("warnings", []) if "schedule" not in text]
            found += [f"{generator.name}: {text}" for text in own]
        return found

    def _judge(self, record: Record) -> Verdict:
        if broken := _broken(record.generators, self._generators):
            return Verdict(None, None, broken)
        counts = Counts(self._target.urls)
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        try:
            while True:
                verdict = self._judge_once(record, counts)
                unknown = any((one.summary or {}).get("unknown") for one in record.generators)
                if verdict.valid or not unknown or time.monotonic() > deadline:
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
        return Verdict(
            ledger,
            judge_counts(
                record.samples.count, final, record.samples.load, received, record.baseline
            ),
        )


def _broken(records: Sequence[GeneratorRecord], generators: Sequence[Generator]) -> str:
    """Why a run can't be judged because a generator did not end in order; empty if all did."""
    for record, generator in zip(records, generators, strict=True):
        if record.summary is None:
            told = generator.errors.strip().splitlines()
            return f"{record.name}: TGIBF broke off: {told[-1] if told else 'without a word'}"
    return ""


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
