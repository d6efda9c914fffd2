"""A Kubernetes cluster on this machine that runs the webhook, its Cassandra, and add-ons.

A node is a set of namespaces (network, processes, mounts, host name), with containerd, kubelet and
kube-proxy; node-1 has the control plane, too. The addresses are 192.168.57.11 and up. Nothing comes
from an image registry: all of Kubernetes is built from source once, which takes about ten minutes.
It may run beside `scripts/cluster`. docs/kubernetes.md says more.
"""

import argparse
from collections.abc import Callable

from tools.debian import provide
from tools.entry import enter
from tools.say import fail, say
from tools.verbs import Verbs

COMMANDS = {
    "conntrack": "conntrack",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "java": "openjdk-17-jre-headless",
    "jlink": "openjdk-17-jdk-headless",
    "mount": "mount",
    "mvn": "maven",
    "openssl": "openssl",
    "runc": "runc",
    "socat": "socat",
    "sysctl": "procps",
    "unshare": "util-linux",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = Verbs(parser)
    start = verbs.add_parser("up", help="start what does not run; ends when every part is well")
    start.add_argument(
        "nodes", nargs="?", type=int, default=1, metavar="NODES", help="how many (default: 1)"
    )
    start.add_argument(
        "--bare", action="store_true", help="the cluster and its add-ons, without the product"
    )
    verbs.add_parser("down", help="end everything, and remove it, data included")
    verbs.add_parser("status", help="show what runs where; exit code 0 if it is well")
    release = verbs.add_parser(
        "release", help="make an image of this checkout, and roll the webhook to it"
    )
    release.add_argument("version", help="the image's tag, such as 0.2.0")
    for verb, meaning in (
        ("kill", "end everything on a node at once and silently, as a power cut does"),
        ("start", "start a node that was killed; it has its data"),
    ):
        one = verbs.add_parser(verb, help=meaning)
        one.add_argument("node", help="such as node-2")
    verbs.add_parser(
        "env", help='for `eval "$(scripts/kubernetes env)"`: kubectl then finds the cluster'
    )
    arguments = parser.parse_args()
    enter("webhook")
    from cluster.layout import ClusterError
    from cluster.linux.namespace import NamespaceError
    from kubelab.layout import LabError

    if arguments.verb not in {"env", "status"}:
        refuse_what_cannot_be()
    try:
        return act(arguments)
    except (ClusterError, LabError, NamespaceError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        say("stopped; scripts/kubernetes up resumes, scripts/kubernetes down ends what runs")
        return 130


def act(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    from kubelab import kubectl, nodes, up
    from kubelab.layout import named

    def down() -> None:
        say("ending all nodes")
        nodes.down()

    acts: dict[str, Callable[[], int | None]] = {
        "up": lambda: up.up(arguments.nodes, bare=arguments.bare),
        "down": down,
        "status": up.show_status,
        "release": lambda: up.release(arguments.version),
        "kill": lambda: nodes.kill(named(arguments.node)),
        "start": lambda: nodes.start(named(arguments.node)),
        "env": lambda: print("\n".join(kubectl.exports())),
    }
    return acts[arguments.verb]() or 0


def refuse_what_cannot_be() -> None:
    """End the command if this machine can't run nodes."""
    from cluster.linux.namespace import missing

    provide(COMMANDS)
    reason = missing()
    if reason:
        fail(f"no nodes here: {reason}.\n       They need root on a Linux machine.")
