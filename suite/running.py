"""Runs the stages of a suite, each in a pytest, and then prints the results."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL

from suite.plan import PLAN_OPTION, STAGE_OPTION, Plan
from suite.preparation import Preparation
from suite.results import Results, read_results
from suite.stages import (
    EVERY,
    STAGES,
    SUITES,
    Stage,
    Suite,
    clock,
    missing_commands,
    on_other_python,
)
from tools.children import child, outcome
from tools.debian import can_install
from tools.root import ROOT
from tools.say import say
from tools.stops import leave, stops_to
from tools.venv import VENV, other_pythons, provide_venv

INTERRUPTED = 2
SLOWEST = 10
PLUGIN = "tests.support.staging"
NEEDS_ROOT = "needs root: sudo scripts/test"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def run(suites: Sequence[Suite], arguments: Sequence[str], *, keep_going: bool) -> int:
    """Run the tests of `suites` that `arguments`, pytest's, select; the exit code."""
    python = provide_venv("dev")
    given = list(arguments)
    if not _names_files(arguments):
        given = [*(argument for suite in suites for argument in suite.arguments), *given]
    with tempfile.TemporaryDirectory(prefix="teracompra-test-") as directory:
        tests = Tests(python, given, Path(directory))
        code, plan = tests.plan()
        if code:
            say(f"suites: {', '.join(SUITES)}; all other arguments go to pytest")
            return code
        stages = _stages(suites, plan, given)
        left_out = {} if os.geteuid() == 0 else {s.name: NEEDS_ROOT for s in stages if s.root}
        account = Account(plan, left_out)
        run_stages([s for s in stages if s.name not in left_out], tests, account, keep_going)
    account.show(stages)
    return account.code


def run_stages(
    stages: Sequence[Stage], tests: "Tests", account: "Account", keep_going: bool
) -> None:
    """Run these stages, each as soon as what it needs is there, and enter them in the account."""
    packages = missing_commands(stages, _here(stages)).values()
    servers = {server for stage in stages for server in stage.servers}
    with Preparation(list(packages), sorted(servers)) as preparation:
        for number, stage in enumerate(stages):
            later = stages[number + 1 :]
            if missing_commands([stage], _here([stage])):
                preparation.await_packages()
            if stage.servers:
                preparation.await_servers()
            for failure in preparation.failures():
                say(f"not available, so tests that need it will fail:\n{failure}")
            say(
                f"stage {number + 1} of {len(stages)}: {stage.name} ({stage.title}), "
                f"expected {clock(stage.seconds)}"
            )
            results, code = tests.run(stage, account.plan)
            account.enter(results, code)
            say(
                f"{results}, expected {clock(stage.seconds)}; {clock(account.seconds)} so far, "
                f"about {clock(sum(one.seconds for one in later))} left"
            )
            if code == INTERRUPTED or (account.code and not keep_going):
                account.left_out |= {one.name: "not reached" for one in later}
                return


def _stages(suites: Sequence[Suite], plan: Plan, arguments: Sequence[str]) -> list[Stage]:
    """The stages that have tests which were asked for, and the repetitions of the quick ones.

    These come before the stages that need servers, which are built meanwhile.
    """
    wanted = {name for suite in suites for name in suite.stages}
    stages = [stage for stage in STAGES if stage.name in wanted and plan.tests.get(stage.name)]
    which = {suite.other_pythons for suite in suites}
    if not any(which) or _names_files(arguments):
        return stages
    pythons = [*other_pythons().items()]  # the newest comes last
    if EVERY in which:
        repeated = [on_other_python(*one) for one in pythons]
    else:
        repeated = [on_other_python(*one, repeats=("unit",)) for one in pythons[-1:]]
    repeated = [one for one in repeated if all(plan.tests.get(name) for name in one.tests)]
    return sorted([*stages, *repeated], key=lambda stage: bool(stage.servers))


def _names_files(arguments: Sequence[str]) -> bool:
    """Whether they name tests; `-k webhook` does not, though there is a folder of that name."""
    paths = [Path(ROOT, a.split("::")[0]).resolve() for a in arguments if not a.startswith("-")]
    return any(path.exists() and path.is_relative_to(ROOT / "tests") for path in paths)


def _here(stages: Sequence[Stage]) -> list[str]:
    commands = {command for stage in stages for command in stage.commands}
    return [command for command in commands if shutil.which(command, path=PATH)]


@dataclass(frozen=True)
class Tests:
    """The tests that pytest selects by `arguments`."""

    python: Path
    arguments: Sequence[str]
    directory: Path

    def plan(self) -> tuple[int, Plan]:
        """pytest's exit code, and if that is 0 which stages have how many tests."""
        file = self.directory / "plan.json"
        done = outcome(
            [*self._pytest(self.python), "--collect-only", "-qq", f"{PLAN_OPTION}={file}"],
            cwd=ROOT,
            stdin=DEVNULL,
        )
        if done.returncode:
            print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
            return done.returncode, Plan({}, {})
        return 0, Plan.read(file)

    def run(self, stage: Stage, plan: Plan) -> tuple[Results, int]:
        """Run a stage to its end; its results, and pytest's exit code."""
        began = time.monotonic()
        python = self.python
        if stage.python:
            folder = VENV.with_name(f"{VENV.name}-{stage.python}")
            python = provide_venv("dev", folder, stage.interpreter)
        report = self.directory / f"{stage.name}.xml"
        command = [*self._pytest(python), f"--junitxml={report}", *stage.arguments()]
        command += [] if any(word.startswith("-v") for word in self.arguments) else ["-q"]
        command += [f"{STAGE_OPTION}={name}" for name in stage.tests]
        if not _names_files(self.arguments):
            command += [file for name in stage.tests for file in plan.files[name]]
        environment = {**os.environ, "PATH": PATH}
        stops: list[int] = []
        # In a group of its own: it hears a stop once, whoever sends it to how many of us.
        with child(command, cwd=ROOT, env=environment, process_group=0) as pytest:

            def pass_on(number: int, _: object) -> None:
                if not stops:
                    say("stopping: what the tests have started is ended first")
                    pytest.send_signal(signal.SIGINT)
                stops.append(number)

            with stops_to(pass_on):
                code = pytest.wait()
        if stops and stops[0] != signal.SIGINT:
            leave(stops[0])
        return read_results(stage.name, report, time.monotonic() - began), code

    def _pytest(self, python: Path) -> list[str]:
        return [str(python), "-m", "pytest", "-p", PLUGIN, *self.arguments]


@dataclass
class Account:
    """The results of a run so far."""

    plan: Plan
    left_out: dict[str, str]
    """Stages that are not run, and why."""
    results: list[Results] = field(default_factory=list)
    code: int = 0
    """The run's exit code."""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def enter(self, results: Results, code: int) -> None:
        """Add a stage, and the exit code of its pytest."""
        self.results.append(results)
        self.code = max(self.code, code)

    def show(self, stages: Sequence[Stage]) -> None:
        """Print the stages, the slowest tests, and what was not run and why."""
        expected = {stage.name: stage.seconds for stage in stages}
        print(f"\n{'stage':<12}{'passed':>8}{'failed':>8}{'skipped':>8}{'took':>8}{'expected':>10}")
        for one in self.results:
            print(
                f"{one.stage:<12}{one.passed:>8}{one.failed:>8}{one.skipped:>8}"
                f"{clock(one.seconds):>8}{clock(expected[one.stage]):>10}"
            )
        print(f"{'all':<12}{'':>24}{clock(self.seconds):>8}{clock(sum(expected.values())):>10}")
        tests = [test for one in self.results for test in one.tests]
        print(f"\nthe {SLOWEST} slowest tests:")
        for test in sorted(tests, key=lambda test: -test.seconds)[:SLOWEST]:
            print(f"{test.seconds:8.1f} s  {test.name}")
        _show_reasons("skipped", Counter(test.skipped for test in tests if test.skipped))
        left = {f"{name}: {why}": self._tests(name, stages) for name, why in self.left_out.items()}
        for one in self.results:
            unfinished = self._tests(one.stage, stages) - len(one.tests)
            if unfinished > 0:  # another Python may have more
                left[f"{one.stage}: not run to its end"] = unfinished
        _show_reasons("left out", left)
        missing = missing_commands(stages, _here(stages))
        if missing and not can_install():
            print(f"\nnot here: {', '.join(sorted(missing))}")
            print(f"on Debian: sudo apt-get install {' '.join(sorted({*missing.values()}))}")
        passed = sum(one.passed for one in self.results)
        failed = sum(one.failed for one in self.results)
        skipped = sum(one.skipped for one in self.results) + sum(left.values())
        print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)

    def _tests(self, name: str, stages: Sequence[Stage]) -> int:
        """How many tests a stage has."""
        (stage,) = (one for one in stages if one.name == name)
        return sum(self.plan.tests.get(one, 0) for one in stage.tests)


def _show_reasons(title: str, reasons: Mapping[str, int]) -> None:
    if reasons:
        print(f"\n{title}:")
    for reason, number in sorted(reasons.items(), key=lambda item: -item[1]):
        print(f"{number:8}  {reason}")
