"""Get Nomad, Consul, Fabio, the autoscaler and Prometheus into the cache, each checked.

Each is the official release if it can be fetched; otherwise it is built from source, which takes
some minutes. If the cache has everything, no network is needed. docs/binaries.md says more.

Those of Kubernetes (kube, coredns, pause, local-path-provisioner, kubeconform) come only if you
name them, and are always built. kubeconform comes with the schemas of Kubernetes' objects.
"""

import argparse

from artifacts.binaries import ARCHITECTURES, BINARIES, origin, provide
from artifacts.go import architecture
from artifacts.kubernetes import KUBECONFORM, PROGRAMS
from artifacts.schemas import provide_schemas
from tools.verbs import Verbs

ALL = {**BINARIES, **PROGRAMS}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = Verbs(parser)
    get = verbs.add_parser("get", help="fetch or build what is not there yet; prints the paths")
    get.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)} (those of scripts/cluster)"
    )
    listing = verbs.add_parser("list", help="list the programs, and where those here came from")
    for verb in (get, listing):
        verb.add_argument(
            "--arch",
            type=architecture,
            choices=ARCHITECTURES,
            default=architecture(),
            help="the machines that they are for (default: %(default)s)",
        )
    arguments = parser.parse_args()
    if arguments.verb == "list":
        show(arguments.arch)
        return 0
    unknown = [name for name in arguments.names if name not in ALL]
    if unknown:
        get.error(f"no {', '.join(unknown)} here; choose from {', '.join(ALL)}")
    for name in arguments.names or BINARIES:
        print(provide(ALL[name], arguments.arch), flush=True)
        if name == KUBECONFORM.name:
            print(provide_schemas(), flush=True)
    return 0


def show(arch: str) -> None:
    """Print a line for each program."""
    for binary in ALL.values():
        came_from = origin(binary, arch) or "not in the cache"
        print(f"{binary.name:<24}{binary.version:<8}{arch:<7}{came_from}")
