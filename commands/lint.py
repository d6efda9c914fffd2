"""Check style, types, and the files that are not Python.

Python: ruff (lint and format) and mypy --strict. Shell: shellcheck. Dockerfiles: hadolint. YAML:
yamllint. HCL and jobs: they must parse; `nomad fmt` must change nothing, and `nomad job validate`
must accept the jobs, if Nomad is in the cache (`scripts/binaries get nomad`). Manifests: `kubectl
kustomize` and kubeconform, if they are in the cache (`scripts/binaries get kube kubeconform`).
Prometheus rules: `promtool check config`, `check rules`, and `test rules` with prometheus/tests, if
promtool is in the cache (`scripts/binaries get promtool`).
Documents: links, and the commands and names that they mention.

The repository determines which files are checked; no list is kept.
"""

import argparse
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from artifacts.binaries import NOMAD, PROMTOOL, cached
from artifacts.kubernetes import KUBE, KUBECONFORM
from artifacts.schemas import cached_schemas
from commands.manifests import GET
from tools.root import ROOT
from tools.say import say
from tools.venv import VENV, provide_venv

YAML_RULES = "{extends: relaxed, rules: {line-length: disable}}"
SHELLS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env sh", "#!/usr/bin/env bash")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fix", action="store_true", help="fix what can be fixed automatically")
    fix = parser.parse_args().fix
    python = str(provide_venv("dev"))
    files = repository_files()
    checks = [
        [python, "-m", "ruff", "check", *(["--fix"] if fix else [])],
        [python, "-m", "ruff", "format", *([] if fix else ["--check"])],
        [python, "-m", "mypy"],
        [python, "-m", "yamllint", "-s", "-d", YAML_RULES, *having(files, is_yaml)],
        [python, "-m", "commands.hcl", *having(files, is_hcl)],
        *shell_and_docker(files),
        *nomad_checks(files, fix=fix),
        *manifests(files, python),
        *prometheus_rules(files),
        [python, "-m", "pytest", "-q", "tests/tools/test_docs.py"],
    ]
    codes = [run(check) for check in checks]
    return max(codes)


def run(command: list[str]) -> int:
    """Run one check; its exit code."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        name = command[2] if command[1] == "-m" else Path(command[0]).name
        say(f"failed: {name}")
    return code


def repository_files() -> list[Path]:
    """What git tracks or would track; without git, all files of the checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        visible = (path for path in ROOT.rglob("*") if not is_hidden(path.relative_to(ROOT)))
        return sorted(path for path in visible if path.is_file())
    names = [name for name in listed.stdout.split("\0") if name]
    return sorted(path for name in names if (path := ROOT / name).is_file())


def is_hidden(path: Path) -> bool:
    return any(part.startswith(".") and part != ".ci" for part in path.parts)


def is_yaml(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"}


def is_hcl(path: Path) -> bool:
    return path.suffix in {".hcl", ".nomad"}


def is_job(path: Path) -> bool:
    return path.suffix == ".nomad"


def is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(100).decode(errors="replace")
    return first.startswith(SHELLS)


def is_dockerfile(path: Path) -> bool:
    return path.name == "Dockerfile"


def is_kustomization(path: Path) -> bool:
    return path.name == "kustomization.yaml"


def is_rules(path: Path) -> bool:
    return path.parent == ROOT / "prometheus" / "rules"


def is_test_of_rules(path: Path) -> bool:
    return path.parent == ROOT / "prometheus" / "tests"


def having(files: list[Path], trait: Callable[[Path], bool]) -> list[str]:
    """The names of the files with a trait, from the root of the repository."""
    return [str(path.relative_to(ROOT)) for path in files if trait(path)]


def shell_and_docker(files: list[Path]) -> list[list[str]]:
    """The checks of shell and Dockerfiles, whose programs exist only for x86-64."""
    checks = []
    for program, arguments, trait in (
        ("shellcheck", [], is_shell),
        ("hadolint", ["--ignore", "DL3008"], is_dockerfile),  # Debian's versions are not pinned
    ):
        path = VENV / "bin" / program
        if path.exists():
            checks.append([str(path), *arguments, *having(files, trait)])
        else:
            say(f"skipped: there is no {program} for {platform.machine()}")
    return checks


def nomad_checks(files: list[Path], *, fix: bool) -> list[list[str]]:
    """The checks of the jobs, with the cache's Nomad or the machine's own; no agent is needed."""
    program = cached(NOMAD) or shutil.which("nomad")
    if program is None:
        say("skipped: nomad fmt, nomad job validate; to run them: scripts/binaries get nomad")
        return []
    return [
        [str(program), "fmt", *([] if fix else ["-check"]), *having(files, is_hcl)],
        *([str(program), "job", "validate", job] for job in having(files, is_job)),
    ]


def manifests(files: list[Path], python: str) -> list[list[str]]:
    """The check of Kubernetes' manifests, with the cache's programs; no cluster is needed."""
    if not (cached(KUBE) and cached(KUBECONFORM) and cached_schemas()):
        say(f"skipped: kubectl kustomize, kubeconform; to run them: {GET}")
        return []
    folders = [str(Path(name).parent) for name in having(files, is_kustomization)]
    return [[python, "-m", "commands.manifests", *folders]]


def prometheus_rules(files: list[Path]) -> list[list[str]]:
    """With the cache's promtool, or the machine's own."""
    found = cached(PROMTOOL) or shutil.which("promtool")
    if found is None:
        say("skipped: promtool; to run it: scripts/binaries get promtool")
        return []
    program = str(found)
    return [
        [program, "check", "config", "prometheus/prometheus.yml"],
        [program, "check", "rules", *having(files, is_rules)],
        [program, "test", "rules", *having(files, is_test_of_rules)],
    ]
