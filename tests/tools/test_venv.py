"""How `.venv` is made: cut short, by two at once, and where it can't be made."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tests.support.scripts import IGNORING_SIGCHLD, as_any_user
from tools.root import ROOT

# A Python of which `venv` and `pip` take no time. What a kill leaves of a real one is in test 1.
QUICK = """#!/bin/sh
echo "$2" >>"{log}"
case "$2" in
venv)
    {venv}
    mkdir -p "$4/bin" "$4/lib/python3.11/site-packages/pip-1.0.dist-info" &&
        echo pip >"$4/lib/python3.11/site-packages/pip-1.0.dist-info/INSTALLER" &&
        ln -sf "$0" "$4/bin/python"
    ;;
pip) {pip} ;;
*platform*) echo 3.11.0 ;;
*) {imports} ;;
esac
"""
PROVIDE = """
import sys
from pathlib import Path
import tools.entry
from tools.venv import provide_venv

print(provide_venv("tgibf", Path(sys.argv[1]), sys.argv[2]))
"""


class Interpreter:
    """A quick one, and what was asked of it."""

    def __init__(
        self, folder: Path, *, venv: str = "", pip: str = "true", imports: str = "true"
    ) -> None:
        self.path = folder / "quick-python"
        self._log = folder / "asked"
        text = QUICK.format(log=self._log, venv=venv, pip=pip, imports=imports)
        self.path.write_text(text)
        self.path.chmod(0o755)

    def command(self, folder: Path) -> list[str | Path]:
        """The command that makes an environment at `folder` with it."""
        return [sys.executable, "-c", PROVIDE, folder, self.path]

    def provide(self, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, *self.command(folder)], cwd=ROOT, capture_output=True, text=True, check=False
        )

    def asked(self, what: str) -> int:
        """How many times it was told to run this module."""
        return self._log.read_text().splitlines().count(what) if self._log.exists() else 0


def test_an_environment_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    """Ctrl-C after Python's links, before pip; and within pip, whose INSTALLER comes last."""
    quick, folder = Interpreter(tmp_path), tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (pip,) = folder.glob("lib/python*/site-packages")
    (pip / "pip-1.0.dist-info").mkdir()
    done = quick.provide(folder)
    assert done.returncode == 0, done.stderr
    assert (quick.asked("venv"), quick.asked("pip")) == (1, 1)


def test_what_is_whole_is_not_made_again(tmp_path: Path) -> None:
    """With a stamp or, as after a failure of the index, without; by a symbolic link too."""
    quick, folder = Interpreter(tmp_path), tmp_path / ".venv"
    assert quick.provide(folder).returncode == 0
    (tmp_path / "link").symlink_to(folder)
    assert quick.provide(tmp_path / "link").returncode == 0
    assert (quick.asked("venv"), quick.asked("pip")) == (1, 1)
    (folder / "tgibf.sha256").unlink()
    assert quick.provide(tmp_path / "link").returncode == 0
    assert (quick.asked("venv"), quick.asked("pip")) == (1, 2)
    assert (tmp_path / "link").is_symlink()


def test_a_pip_that_fails_is_not_taken_as_done_where_sigchld_is_ignored(tmp_path: Path) -> None:
    quick, folder = Interpreter(tmp_path, pip="exit 1"), tmp_path / ".venv"
    done = quick.provide(folder, *IGNORING_SIGCHLD)
    assert done.returncode == 1, done.stdout
    assert "pip could not install them" in done.stderr
    assert not (folder / "tgibf.sha256").exists()


def test_who_waits_for_another_script_says_so(tmp_path: Path) -> None:
    quick = Interpreter(tmp_path)
    said = tmp_path / "said"
    handle = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with (
        said.open("w") as stderr,
        subprocess.Popen(quick.command(tmp_path / ".venv"), cwd=ROOT, stderr=stderr) as second,
    ):
        try:
            wait_for(said.read_text, "what it waits for")
            assert quick.asked("venv") == 0
        finally:
            os.close(handle)
        assert second.wait(30) == 0
    assert said.read_text().startswith("==> waiting for another script that prepares .venv\n")
    assert quick.asked("venv") == 1


def test_who_waits_for_nobody_does_not_say_so(tmp_path: Path) -> None:
    assert "waiting" not in Interpreter(tmp_path).provide(tmp_path / ".venv").stderr


def test_what_venv_says_is_shown(tmp_path: Path) -> None:
    quick = Interpreter(tmp_path, venv="echo 'Error: it is Sunday'; exit 1")
    ended = quick.provide(tmp_path / ".venv")
    assert ended.returncode == 1
    assert ended.stderr.endswith("\nError: it is Sunday\n")
    assert "python3-venv" not in ended.stderr


def test_the_package_is_named_where_ensurepip_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "mkdir", "ln"):  # and no apt-get, which root would call
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    quick = Interpreter(tmp_path, venv="exit 1", imports="exit 1")
    ended = quick.provide(tmp_path / ".venv")
    assert ended.returncode == 1
    assert ended.stderr.endswith("on Debian: apt-get install python3-venv\n")


def test_a_path_with_a_colon_is_named(tmp_path: Path) -> None:
    quick, place = Interpreter(tmp_path), tmp_path / "a:b"
    place.mkdir()
    ended = quick.provide(place / ".venv")
    assert ended.returncode == 1
    assert "path has a ':': move the checkout" in ended.stderr
    assert quick.asked("venv") == 0


@pytest.mark.parametrize("made", [False, True], ids=["new", "old"])
def test_a_checkout_of_somebody_else_is_named(tmp_path: Path, made: bool) -> None:
    quick, folder = Interpreter(tmp_path), tmp_path / "checkout" / ".venv"
    folder.parent.mkdir()
    if made:
        assert quick.provide(folder).returncode == 0
        (folder / "tgibf.sha256").write_text("of an older file")
    place = folder if made else folder.parent
    place.chmod(0o555)
    try:
        ended = quick.provide(folder, *as_any_user())
    finally:
        place.chmod(0o755)
    assert ended.returncode == 1
    assert f"this user can't write to {place}" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_user_without_a_home_has_no_pyenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what goes to the cache is refused in a line that says what helps."""
    for name in ("HOME", "PYENV_ROOT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    stranger = "import os, pwd; pwd.getpwuid = {}.__getitem__\n"
    code = stranger + "from tools.venv import other_pythons; other_pythons()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    code = stranger + "from artifacts.cache import cache; cache()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"set XDG_CACHE_HOME" in done.stderr
    assert done.stderr.count(b"\n") == 1
