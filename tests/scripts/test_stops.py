"""A stop in the first moments of a script: it ends at once, and as a shell expects it."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.processes import processes_with
from harness.waiting import wait_for
from tests.scripts.test_old_pythons import NAMES
from tests.support.scripts import SCRIPTS
from tests.webhook.receiver.test_start import hears
from tools.root import ROOT

STOPS = (signal.SIGINT, signal.SIGTERM)
IMPORTS = (0.0, 0.04)
MOMENTS = (0.05, 0.3, 1.0)
PROMPT_SECONDS = 30  # on a busy machine; what is stopped would take minutes


@contextmanager
def started(command: Sequence[str | Path], directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A script, as soon as it hears; whatever becomes of it, it ends with the `with`."""
    with subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for(lambda: hears_or_ended(process), "its first lines", 20, 0.001)
            yield process
        finally:
            process.kill()


def hears_or_ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None or hears(process.pid, signal.SIGTERM)


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send the signal; what the script has said, which ends as a shell calls it: 128 and more."""
    process.send_signal(number)
    _, said = process.communicate(timeout=PROMPT_SECONDS)
    assert "Traceback" not in said
    if process.returncode == -number:  # Python is gone, or was not there yet
        process.returncode = 128 + number
    return said


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("name", NAMES)
def test_a_stop_is_heard_during_the_imports(
    name: str, number: signal.Signals, tmp_path: Path
) -> None:
    for seconds in IMPORTS:
        with started([ROOT / name, "--help"], tmp_path) as process:
            time.sleep(seconds)
            said = stop(process, number)
        assert process.returncode in {0, 128 + number}, said


def commands(name: str, directory: Path) -> list[str | Path]:
    """Each goes on for long, but for the benchmark, whose imports are what takes long."""
    ledger = directory / "ledger"
    if name == "verify":
        ledger.unlink(missing_ok=True)
        subprocess.run(["mkfifo", ledger], check=True)  # of which it never sees the end
    found: dict[str, list[str | Path]] = {
        "demo": [SCRIPTS / "demo", "--seconds=600", "--port=0", "--keep", directory / "kept"],
        "loadtest": [SCRIPTS / "loadtest", "--port=0", "--report", directory / "report"],
        "verify": [SCRIPTS / "verify", ledger, "sqlite:///none"],
        "bench": [SCRIPTS / "bench", "throughput", "--help"],
        "test": [SCRIPTS / "test", "tests/webhook/rules", "-q", f"--basetemp={directory / 'base'}"],
    }
    return found[name]


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("seconds", MOMENTS, ids=lambda seconds: f"{seconds:.2f} s")
@pytest.mark.parametrize("name", ["demo", "loadtest", "verify", "bench", "test"])
def test_a_stop_is_heard_in_the_first_moments(
    name: str, seconds: float, number: signal.Signals, tmp_path: Path
) -> None:
    if name == "bench" and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")  # root would install it
    with started(commands(name, tmp_path), tmp_path) as process:
        time.sleep(seconds)
        said = stop(process, number)
    # What sends already ends in order.
    in_order = name == "bench" or "comparing the ledger" in said
    assert process.returncode in {128 + number, 0 if in_order else None}, said
    assert not processes_with(str(tmp_path))
