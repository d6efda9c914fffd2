"""Check manifests of Kubernetes: each folder must build with `kubectl kustomize`, and each object
in it must have the fields of its kind and no others, by kubeconform."""

import argparse
import subprocess
import sys
from pathlib import Path

from artifacts.binaries import cached
from artifacts.kubernetes import KUBE, KUBECONFORM
from artifacts.schemas import NAMES, cached_schemas
from tools.say import fail

GET = "scripts/binaries get kube kubeconform"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    folders = parser.parse_args(arguments).folders
    kube, kubeconform, schemas = cached(KUBE), cached(KUBECONFORM), cached_schemas()
    if not (kube and kubeconform and schemas):
        fail(f"the programs are not in the cache; {GET}")
    judge = [str(kubeconform), "-strict", "-summary", "-schema-location", f"{schemas}/{NAMES}"]
    return max(check([str(kube), "kubectl", "kustomize", str(one)], judge) for one in folders)


def check(build: list[str], judge: list[str]) -> int:
    """Build a folder and have it judged; the exit code."""
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    if built.returncode or built.stderr:  # it warns of what will be gone
        print(f"{build[-1]}: {built.stderr.strip()}", file=sys.stderr)
        return 1
    judged = subprocess.run(judge, input=built.stdout, capture_output=True, text=True, check=False)
    if judged.returncode:
        print(f"{build[-1]}: {judged.stdout}{judged.stderr}", file=sys.stderr)
    return judged.returncode


if __name__ == "__main__":
    sys.exit(main())
