"""kubectl of the cluster's own version, as the cluster's administrator."""

import os
import subprocess
from pathlib import Path

from kubelab.certificates import ADMIN
from kubelab.layout import NETWORK, STATE, LabError

PROGRAM = STATE / "bin" / "kubectl"
CONFIGURATION = STATE / "pki" / f"{ADMIN}.kubeconfig"


def environment() -> dict[str, str]:
    """This process's, in which kubectl finds the cluster, and no proxy in between."""
    proxies = {"http_proxy", "https_proxy", "all_proxy"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    return {**kept, "KUBECONFIG": str(CONFIGURATION)}


def exports() -> list[str]:
    """Lines for a shell."""
    return [
        f"export KUBECONFIG={CONFIGURATION}",
        f'export PATH="{PROGRAM.parent}:$PATH"',
        f'export NO_PROXY="{NETWORK}${{NO_PROXY:+,$NO_PROXY}}" no_proxy="{NETWORK}"',
    ]


def run(
    *arguments: str, typed: str | None = None, seconds: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever the exit code; `typed` is its input."""
    return subprocess.run(
        [str(PROGRAM), *arguments],
        input="" if typed is None else typed,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def must(*arguments: str, seconds: float = 600) -> str:
    """What it prints. Raises LabError if it fails."""
    try:
        done = run(*arguments, seconds=seconds)
    except FileNotFoundError:
        raise LabError("there is no cluster; scripts/kubernetes up") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"kubectl {' '.join(arguments)}: no answer within {seconds:g} s") from None
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise LabError(f"kubectl {' '.join(arguments)}: {said}")
    return done.stdout


def apply(folder: Path) -> None:
    """Apply a folder of manifests. Raises LabError."""
    must("apply", "-k", str(folder))
