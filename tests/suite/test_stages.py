"""scripts/test: which test is in which stage, and what a run of stages says."""

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePath

import pytest

from harness.processes import processes_with
from harness.waiting import wait_for
from suite.plan import Plan
from suite.stages import (
    STAGES,
    SUITES,
    clock,
    missing_commands,
    on_other_python,
    stage_of,
)
from tools.root import ROOT

TESTS = ROOT / "tests"
COPIED = (
    *("artifacts", "cluster", "harness", "requirements", "scripts", "suite", "tgibf", "tools"),
    *("webhook", "pyproject.toml"),
)
PASSES = "def test_it() -> None:\n    pass\n"
FAILS = "def test_it() -> None:\n    assert not 'well'\n"
WAITS = """
import os, subprocess
def test_it() -> None:
    with subprocess.Popen(["sleep", os.environ["MARK"]], process_group=0) as process:
        try:
            process.wait()
        finally:
            process.kill()
"""
LEAVES_OPEN = """
import gc, socket
def test_it() -> None:
    left = socket.socket()
    assert not left
def test_another() -> None:
    gc.collect()
"""
SKIPS = "import pytest\ndef test_it() -> None:\n    pytest.skip('no moon tonight')\n"


@pytest.mark.parametrize(
    ("path", "words", "stage"),
    [
        ("webhook/rules/test_window.py", [], "unit"),
        ("webhook/http/test_senders.py", [], "receiver"),
        ("cluster/rules/test_routing.py", [], "unit"),
        ("cluster/ring/test_schema.py", [], "scripts"),
        ("webhook/receiver/test_routes.py", ["receiver", "tmp_path"], "receiver"),
        ("webhook/store/test_contract.py", ["kind"], "receiver"),
        ("webhook/store/test_contract.py", ["kind", "ring", "lone_node"], "ring"),
        ("browser/test_live_page.py", ["page", "browser"], "browser"),
        ("cluster/test_browser.py", ["page", "browser", "running_cluster"], "cluster"),
        ("browser/test_allocations.py", ["page", "browser", "consul"], "consul"),
    ],
)
def test_a_test_is_where_the_most_of_what_it_needs_is(
    path: str, words: list[str], stage: str
) -> None:
    assert stage_of(PurePath(path), words) == stage


def test_every_folder_of_tests_has_a_stage_and_a_new_one_is_asked_for() -> None:
    for file in TESTS.rglob("test_*.py"):
        stage_of(file.relative_to(TESTS), ())
    with pytest.raises(LookupError, match=r"tests/moon/test_it.py is in no stage"):
        stage_of(PurePath("moon/test_it.py"), ())


def test_quick_stages_come_first_and_need_neither_root_nor_a_server() -> None:
    for name in SUITES["quick"].stages:
        (stage,) = (stage for stage in STAGES if stage.name == name)
        assert not stage.root
        assert not stage.servers
    assert tuple(stage.name for stage in STAGES[:3]) == SUITES["quick"].stages


def test_only_what_is_not_here_is_to_be_installed() -> None:
    stage = on_other_python("3.12", "/usr/bin/python3.12")
    assert missing_commands([stage], stage.commands) == {}
    assert missing_commands([stage], set(stage.commands) - {"strace"}) == {"strace": "strace"}


def test_a_plan_can_be_read_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan.of([("unit", "tests/tools/a.py"), ("unit", "tests/tools/a.py"), ("ring", "b.py")])
    plan.write(tmp_path / "plan")
    assert Plan.read(tmp_path / "plan") == plan
    assert plan.tests == {"unit": 2, "ring": 1}
    assert plan.files == {"unit": ["tests/tools/a.py"], "ring": ["b.py"]}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3725, "62:05")])
def test_a_duration_is_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_contributing_has_the_durations_of_the_table() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+:\d\d) \| (yes)? ?\|$", text, re.MULTILINE)
    table = [(one.name, clock(one.seconds), "yes" if one.root else "") for one in STAGES]
    assert rows == table


class Checkout:
    """A checkout with tests of its own, and the environment of this one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, root / name)
        shutil.copytree(TESTS / "support", root / "tests" / "support")
        for name in ("__init__.py", "conftest.py"):
            shutil.copy(TESTS / name, root / "tests" / name)
        (root / ".venv").symlink_to(ROOT / ".venv")

    def add(self, folder: str, text: str) -> None:
        (self.root / "tests" / folder).mkdir()
        (self.root / "tests" / folder / "__init__.py").touch()
        (self.root / "tests" / folder / "test_it.py").write_text(text)

    def test(self, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run its scripts/test to its end; `prefix` goes before the command."""
        return subprocess.run(
            [*prefix, self.root / "scripts" / "test", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_a_run_stops_after_the_first_stage_with_a_failure(checkout: Checkout) -> None:
    checkout.add("tools", FAILS)
    checkout.add("webhook", PASSES)
    checkout.add("scripts", SKIPS)

    stopped = checkout.test("quick")
    assert stopped.returncode == 1
    assert "stage 1 of 3: unit" in stopped.stderr
    assert "stage 2 of 3" not in stopped.stderr
    assert stopped.stdout.count("not reached") == 2
    assert stopped.stdout.endswith("\n0 passed, 1 failed, 2 skipped\n")

    whole = checkout.test("quick", "--keep-going")
    assert whole.returncode == 1
    assert re.search(r"==> unit: 0 passed, 1 failed, 0 skipped in 0:\d\d, expected", whole.stderr)
    assert re.search(r"^ +1  no moon tonight$", whole.stdout, re.MULTILINE)
    assert "tests/webhook/test_it.py::test_it" in whole.stdout
    assert whole.stdout.endswith("\n1 passed, 1 failed, 1 skipped\n")


@pytest.mark.parametrize("to", ["it", "its group", "both"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_leaves_nothing_behind(
    checkout: Checkout, number: signal.Signals, to: str
) -> None:
    """Whoever tells it: `kill`, a terminal, or `timeout`, which tells it twice."""
    checkout.add("tools", WAITS)
    mark = f"600.{secrets.randbelow(10**6):06}"
    environment = {**os.environ, "MARK": mark}
    command = [str(checkout.root / "scripts" / "test"), "unit"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    ) as run:
        wait_for(lambda: processes_with(f"sleep {mark}"), "the test's process", 60)
        if to != "its group":
            run.send_signal(number)
        if to != "it":
            os.killpg(run.pid, number)
        printed, _ = run.communicate(timeout=60)
    assert run.returncode == {signal.SIGTERM: 128 + number, signal.SIGINT: 2}[number]
    if number == signal.SIGINT:
        assert re.search(rb"^ +1  unit: not run to its end$", printed, re.MULTILINE)
        assert printed.endswith(b"\n0 passed, 0 failed, 1 skipped\n")
    wait_for(lambda: not processes_with(f"sleep {mark}"), "the end of the test's process", 10)


def test_what_a_failed_test_leaves_open_is_no_fault_of_another(checkout: Checkout) -> None:
    checkout.add("tools", LEAVES_OPEN)
    ended = checkout.test("unit")
    assert "FAILED tests/tools/test_it.py::test_it" in ended.stdout
    assert (
        "test_another" not in ended.stdout.partition("short test summary")[2].partition("slow")[0]
    )


def test_arguments_go_to_pytest_and_only_what_they_select_is_run(checkout: Checkout) -> None:
    checkout.add("tools", FAILS)
    checkout.add("webhook", PASSES)
    checkout.add("docker", "import pytest\n@pytest.mark.docker\n" + PASSES)

    by_file = checkout.test("tests/webhook/test_it.py")
    assert by_file.returncode == 0, by_file.stderr
    assert "stage 1 of 1: receiver" in by_file.stderr
    assert by_file.stdout.endswith("\n1 passed, 0 failed, 0 skipped\n")

    by_name = checkout.test("receiver", "-k", "test_it", "-v")
    assert by_name.returncode == 0, by_name.stderr
    assert "PASSED" in by_name.stdout

    assert checkout.test("-k", "moon").returncode == 5
    wrong = checkout.test("--moon")
    assert wrong.returncode == 4
    assert "unrecognized arguments: --moon" in wrong.stderr


def test_without_root_it_runs_what_it_can_and_says_what_is_left_out(checkout: Checkout) -> None:
    tried = subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespace can be made here: {tried.stderr.decode().strip()}")
    checkout.add("tools", PASSES)
    checkout.add("docker", "import pytest\n@pytest.mark.docker\n" + PASSES)
    ended = checkout.test("unit", "docker", prefix=("unshare", "--user"))  # as a user of no name
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^ +1  docker: needs root", ended.stdout, re.MULTILINE)
    assert "installing" not in ended.stderr
    assert ended.stdout.endswith("\n1 passed, 0 failed, 1 skipped\n")
