"""Three nodes on this machine, each with Consul, Nomad, Cassandra and Fabio, that run the webhook.

A node is a set of namespaces (network, processes, mounts, host name). The addresses are
192.168.56.11 to .13. The nodes run the same files as virtual machines.
"""

import argparse
import os
import subprocess
from collections.abc import Callable

from cluster.layout import SHOWN
from tools.debian import provide
from tools.entry import enter
from tools.say import fail, say
from tools.verbs import Verbs

COMMANDS = {
    "gcc": "gcc",
    "ip": "iproute2",
    "java": "openjdk-17-jre-headless",
    "mount": "mount",
    "mvn": "maven",
    "nft": "nftables",
    "openssl": "openssl",
    "unshare": "util-linux",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = Verbs(parser)
    up_verb = verbs.add_parser("up", help="start what does not run; ends when every part is well")
    kinds = up_verb.add_mutually_exclusive_group()
    kinds.add_argument(
        "--open",
        action="store_true",
        help="no keys, no tokens: whoever reaches the nodes may run programs on them",
    )
    kinds.add_argument(
        "--closed",
        action="store_true",
        help="who has no token may look and send events, no more (the default)",
    )
    up_verb.add_argument(
        "--no-autoscaling",
        action="store_true",
        help="people say how many allocations there are: without Prometheus and the autoscaler, "
        "which are stopped if they run",
    )
    down = verbs.add_parser("down", help="end everything, and remove it")
    down.add_argument("--keep-data", action="store_true", help="keep it for the next `up`")
    verbs.add_parser("status", help="show what runs where, and whether it is well")
    run = verbs.add_parser(
        "run",
        prefix_chars=" ",  # what begins with - is Nomad's
        add_help=False,
        usage="cluster run [OPTION ...] JOB",
        help="run a job",
        description="`nomad job run` with a job of nomad/. Options for it go before the job, as in "
        "`scripts/cluster run -var mode=steady tgibf`.",
    )
    run.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    scale = verbs.add_parser(
        "scale", help="have so many allocations of the webhook, if there is room for them"
    )
    scale.add_argument("count", type=int)
    release = verbs.add_parser(
        "release", help="make a release of this checkout, and put it on all nodes"
    )
    release.add_argument("version")
    for verb, meaning in (
        ("kill", "end everything on a node at once and silently, as a power cut does"),
        ("start", "start a node; it finds the others by itself"),
        (
            "shell",
            "a shell on a node, or a command: scripts/cluster shell node-1 -- nomad status",
        ),
    ):
        one = verbs.add_parser(verb, help=meaning)
        one.add_argument("node", help="such as node-1")
        if verb == "shell":
            one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    hurt = verbs.add_parser("hurt", help="a drill: inject a fault into a node, and heal it")
    hurt.add_argument("node", help="such as node-1")
    hurt.add_argument("fault", help="`scripts/bench faults --help` lists them")
    hurt.add_argument("--seconds", type=float, default=30.0, help="for how long (default: 30)")
    restart = verbs.add_parser("restart", help="restart one part of a node")
    restart.add_argument("node", help="such as node-1")
    restart.add_argument("part", choices=[part.name for part in SHOWN])
    replace = verbs.add_parser("replace", help="bring back a node that lost its disk")
    replace.add_argument("node", help="such as node-1")
    rotate = verbs.add_parser(
        "rotate",
        help="give a closed cluster that runs other secrets",
        description="Give a closed cluster that runs other secrets of one kind. Events may come in "
        "meanwhile. Cut off, it is completed when you type it again.",
    )
    rotate.add_argument(
        "what",
        choices=["certificates", "gossip", "passwords", "tokens"],
        help="certificates: each agent's own, with its key. gossip: the keys by which Consul's and "
        "Nomad's agents know each other; all nodes must run. passwords: the receivers' and the "
        "manager's to Cassandra. tokens: those of operators, managers and agents for Consul and "
        "Nomad; all nodes must run, and each Consul and Nomad is restarted",
    )
    verbs.add_parser("spread", help="move allocations of the webhook until they are spread evenly")
    verbs.add_parser(
        "env", help='for `eval "$(scripts/cluster env)"`: nomad and consul then find the cluster'
    )
    arguments = parser.parse_args()
    if arguments.verb == "run" and {"-h", "--help"} & {*arguments.arguments}:
        run.print_help()
        return 0
    enter("cluster")
    if arguments.verb not in {"env", "status"}:
        refuse_what_cannot_be()
    from cluster.layout import ClusterError
    from cluster.linux.namespace import NamespaceError

    try:
        return act(arguments)
    except (ClusterError, NamespaceError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        if arguments.verb == "rotate":
            say(f"stopped; scripts/cluster rotate {arguments.what} completes it")
        else:
            say("stopped; scripts/cluster up resumes, scripts/cluster down ends what runs")
        return 130


def act(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    from cluster import jobs, operations, scaling, spreading, up
    from cluster.access import passwords, rotation
    from cluster.access.grants import tokens
    from cluster.layout import ClusterError, named
    from cluster.nodes import namespaces

    def down() -> None:
        say("ending all nodes")
        namespaces.down(keep_data=arguments.keep_data)

    def start_all() -> None:
        closed = arguments.closed if arguments.closed or arguments.open else None
        up.up(closed=closed, autoscaling=not arguments.no_autoscaling)

    def shell() -> int:
        command = jobs.login(arguments.command or ["bash"])
        node = namespaces.inside(named(arguments.node), *command)
        # Not by the command line, which everybody on this machine may read.
        environment = {**os.environ, **tokens_if_any()}
        return subprocess.run(node, check=False, env=environment).returncode

    def tokens_if_any() -> dict[str, str]:
        """None while no Nomad answers: a shell is then needed all the more."""
        try:
            return tokens()
        except ClusterError as error:
            say(f"without tokens: {error}")
            return {}

    def hurt() -> None:
        operations.hurt(named(arguments.node), arguments.fault, arguments.seconds)

    rotate = {
        "certificates": rotation.rotate_certificates,
        "gossip": rotation.rotate_gossip,
        "passwords": passwords.rotate_passwords,
        "tokens": rotation.rotate_tokens,
    }
    acts: dict[str, Callable[[], int | None]] = {
        "up": start_all,
        "down": down,
        "status": up.show_status,
        "env": lambda: print("\n".join(jobs.exports())),
        "run": lambda: jobs.run(arguments.arguments),
        "scale": lambda: scaling.scale(arguments.count),
        "release": lambda: jobs.release(arguments.version),
        "kill": lambda: namespaces.kill(named(arguments.node)),
        "start": lambda: namespaces.start(named(arguments.node)),
        "shell": shell,
        "hurt": hurt,
        "restart": lambda: operations.restart(named(arguments.node), arguments.part),
        "replace": lambda: operations.replace(named(arguments.node)),
        "rotate": lambda: rotate[arguments.what](),
        "spread": lambda: say(f"moved {spreading.spread()}"),
    }
    return acts[arguments.verb]() or 0


def refuse_what_cannot_be() -> None:
    """End the command if this machine can't run nodes."""
    from cluster.linux.namespace import missing

    provide(COMMANDS)
    reason = missing()
    if reason:
        fail(
            f"no nodes here: {reason}.\n       They need root on a Linux machine; virtual ones, "
            "by `vagrant up`, need neither."
        )
