"""Cassandra for this project: fetch it, run a node, apply the schema, read it."""

import argparse
import importlib.util
import os
import re
import resource
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

from artifacts.cassandra import (
    CONFIGURATION,
    VERSION,
    node_command,
    nodetool_command,
    provide_cassandra,
)
from cluster.access.secrets import AGENTS_OWN, GIVEN, ON_NODE, Secrets
from cluster.layout import CQL_PORT, NODES
from cluster.ring.disk import await_room
from tools.entry import enter
from tools.network import interface_address
from tools.say import fail, say
from tools.venv import VENV
from tools.verbs import Verbs

SEEDS = tuple(node.address for node in NODES)
OPTIONS = "CASSANDRA_JVM_OPTIONS"
STORAGE = "/var/lib/cassandra"
CLOSED_OPTIONS = (
    # For passwords that are random and long: the usual 2^10 take 50 ms of CPU for each connection.
    "-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4",
    # The first role is made this long after a node is up, and tried again as often; 10 s otherwise.
    "-Dcassandra.superuser_setup_delay_ms=1000",
)
REPLACE = "replace"  # a file in the storage: see `node --help`


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = Verbs(parser)
    verbs.add_parser("get", help=f"fetch and check Cassandra {VERSION}, into the cache")
    node = verbs.add_parser(
        "node",
        help="run a node in the foreground",
        description="Run a node in the foreground, as configured in cassandra/cassandra.yaml: on "
        f"eth1, with its data in {STORAGE}. The environment variable {OPTIONS} has more options "
        'for the JVM, such as "-Xms1G -Xmx1G"; they override cassandra/jvm.options. '
        "The others refuse a node that lost its disk, because they know its address. With a file "
        f"{STORAGE}/{REPLACE} the node takes its old place, and gets all data from them before it "
        "answers anybody.",
    )
    node.add_argument("--address", help="run a separate ring on this address, such as 127.0.0.1")
    node.add_argument(
        "--seeds",
        metavar="NAMES",
        help="with --address: the ring's seeds, such as a.ring,b.ring, rather than that address",
    )
    node.add_argument("--data", type=Path, metavar="DIR", help=f"instead of {STORAGE}")
    node.add_argument(
        "--in-turn",
        action="store_true",
        help="if the node never was in the ring, wait for the seeds before it: two nodes that join "
        "at the same moment may choose the same tokens",
    )
    verbs.add_parser("nodetool", add_help=False, help="run nodetool on this machine's node")
    verbs.add_parser("cqlsh", add_help=False, help=f"run CQL by hand (default host {SEEDS[0]})")
    schema = verbs.add_parser(
        "schema",
        help="create or change the keyspace and its tables; one at a time",
        description="Bring the ring's schema to cassandra/schema.cql. Everything else stays as it "
        "is; run again, it does nothing. Never run two at the same moment: Cassandra does not "
        "order them, which may do harm.",
    )
    schema.add_argument(
        "--hosts",
        default=",".join(SEEDS),
        help="nodes of the ring; a new keyspace is made if all of them are in the ring, or three "
        "(default %(default)s)",
    )
    schema.add_argument("--keyspace", default="teracompra", help="(default %(default)s)")
    schema.add_argument(
        "--replication",
        type=int,
        metavar="N",
        help="how many nodes store each event (a new keyspace: 3, or all if there are fewer). An "
        "existing number is changed by one, and the output says what to do next",
    )
    schema.add_argument(
        "--repaired",
        action="store_true",
        help="confirms that `nodetool repair -full` has ended on each node since the replication "
        "was changed, so it may be changed again",
    )
    schema.add_argument(
        "--retention",
        type=int,
        metavar="SECONDS",
        help="how long events are kept (a new keyspace: 604800, which is 7 days; at least 2100, "
        "which is the window and 5 minutes). Events stored earlier keep their own retention",
    )
    empty = verbs.add_parser(
        "empty",
        help="delete every event; receivers may run",
        description="Delete every event. Every node must be up. Receivers may run: within seconds "
        "they count from zero. Each node keeps a snapshot of the old tables.",
    )
    reread = verbs.add_parser(
        "reread",
        help="make receivers count again, after a snapshot was restored",
        description="Make all receivers forget, within seconds, what they remember of the store.",
    )
    for verb in (empty, reread):
        verb.add_argument("--hosts", default=",".join(SEEDS), help="(default %(default)s)")
    empty.add_argument("--keyspace", required=True, help="whose events are deleted")
    reread.add_argument("--keyspace", default="teracompra", help="(default %(default)s)")
    arguments, others = parser.parse_known_args()
    if others and arguments.verb not in {"cqlsh", "nodetool"}:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if arguments.verb == "get":
        provide_cassandra()
    elif arguments.verb == "node":
        if arguments.in_turn:
            await_turn(Path(arguments.data or STORAGE))
        run_node(arguments.address, arguments.data, arguments.seeds)
    elif arguments.verb == "nodetool":
        command = nodetool_command(provide_cassandra(), sys.argv[2:])
        os.execv(command[0], command)
    elif arguments.verb == "cqlsh":
        run_cqlsh(sys.argv[2:])
    elif arguments.verb == "schema":
        hosts = arguments.hosts.split(",")
        schema_at(
            hosts,
            arguments.repaired,
            keyspace=arguments.keyspace,
            replication=arguments.replication,
            retention=arguments.retention,
        )
    elif arguments.verb in {"empty", "reread"}:
        tell(arguments.verb, arguments.hosts.split(","), arguments.keyspace)
    return 0


def schema_at(hosts: list[str], repaired: bool, **settings: Any) -> None:
    """Apply the schema, and in a closed cluster make its roles."""
    enter_driver()
    from cluster.ring.roles import have_manager, have_user
    from cluster.ring.schema import UNANSWERED, Schema, SchemaError, UnansweredError, apply_at

    secrets = cluster_secrets(hosts)
    login = secrets.manager_login if secrets else None
    try:
        if login:
            have_manager(hosts, login, copies=len(NODES))
        print(apply_at(hosts, Schema(**settings), repaired=repaired, login=login))
        if secrets and login:
            have_user(hosts, login, secrets.webhook_login, settings["keyspace"])
    except UnansweredError as error:
        fail(str(error), UNANSWERED)
    except SchemaError as error:
        fail(str(error))


def tell(verb: str, hosts: list[str], keyspace: str) -> None:
    """Empty the tables, or make receivers read them again."""
    enter_driver()
    from cluster.ring.schema import SchemaError, empty_at, reread_at

    secrets = cluster_secrets(hosts)
    login = secrets.manager_login if secrets else None
    try:
        print({"empty": empty_at, "reread": reread_at}[verb](hosts, keyspace, login))
    except SchemaError as error:
        fail(str(error))


def cluster_secrets(hosts: list[str]) -> Secrets | None:
    """Those of the cluster, if the hosts are its nodes and it is closed."""
    return Secrets.read() if set(hosts) <= set(SEEDS) else None


def enter_driver() -> None:
    """Continue in the project's environment, unless this one has the driver."""
    found = importlib.util.find_spec("cassandra")
    if found is None or found.origin is None:  # there is a folder of that name, which has no code
        enter("webhook")


def run_cqlsh(arguments: list[str]) -> None:
    """Become cqlsh, by default at the first node."""
    beside = f"{Path(sys.executable).parent}:{VENV / 'bin'}:{os.environ.get('PATH', '')}"
    command = shutil.which("cqlsh", path=beside)
    if command is None:
        fail(f"cqlsh is not installed; {VENV / 'bin' / 'pip'} install cqlsh")
    os.environ.setdefault("CQLSH_HOST", SEEDS[0])
    login = GIVEN / "cassandra" / "cqlshrc"
    known = ["--credentials", str(login)] if os.access(login, os.R_OK) else []
    os.execv(command, [command, *known, *arguments])


def run_node(address: str | None, data: Path | None, seeds: str | None = None) -> None:
    """Become the node."""
    if seeds and not address:
        fail("--seeds is for a ring with addresses of its own: give --address, too")
    lib = provide_cassandra()
    configuration = CONFIGURATION / "cassandra.yaml"
    storage = Path(data or STORAGE).resolve()
    try:
        storage.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{storage}: {error.strerror}; name another folder with --data")
    await_room(storage)
    options = shlex.split(os.environ.get(OPTIONS, ""))
    text = everybodys = configuration.read_text()
    if address is not None or data is not None:
        text = elsewhere(text, address, storage, seeds)
    elif closed := closed_settings():
        text += f"\n{closed}"
        options = [*CLOSED_OPTIONS, *options]
    if (storage / REPLACE).exists():
        own = interface_address("eth1")
        say(f"taking the place of {own} if this node has no data yet")
        # A seed gets no data from others, so it is none of its own.
        text = re.sub(r"seeds: .*", f"seeds: {other_seeds(own)}", text)
        options.append(f"-Dcassandra.replace_address_first_boot={own}")
    if text != everybodys:
        configuration = storage / "cassandra.yaml"
        configuration.write_text(text)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    temporary = storage / "tmp"  # the JVM unpacks libraries there, and leaves them if it is killed
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    command = node_command(lib, configuration, [f"-Djava.io.tmpdir={temporary}", *options])
    os.chdir(storage)  # where the JVM reports its own crash
    os.execv(command[0], command)


def closed_settings() -> str:
    """What a node of a closed cluster has besides; nothing if this one's is open.

    Raises OSError if it can't be found out: such a node must not start as an open one.
    """
    # Root may be that of a unit from before Cassandra had a user: nothing was given to it then.
    own = (AGENTS_OWN if os.geteuid() else ON_NODE) / "cassandra"
    if not (own / "both.pem").exists():
        return ""
    text = (CONFIGURATION / "closed.yaml").read_text()
    return text.replace(str(AGENTS_OWN / "cassandra"), str(own))


def other_seeds(own: str) -> str:
    """All seeds but one, as the configuration has them."""
    return ",".join(seed for seed in SEEDS if seed != own)


def await_turn(storage: Path) -> None:
    """Return when the seeds listed before this node take clients, or if it has joined before."""
    if any((storage / "data").glob("system/local-*/*")):
        return
    own = interface_address("eth1")
    for seed in SEEDS[: SEEDS.index(own)] if own in SEEDS else SEEDS:
        said = False
        while True:
            try:
                socket.create_connection((seed, CQL_PORT), 2).close()
                break
            except OSError as error:
                if not said:
                    say(f"waiting for {seed} to join first ({error})")
                said = True
                time.sleep(1)


def elsewhere(text: str, address: str | None, storage: Path, seeds: str | None = None) -> str:
    """The configuration with another folder and another address, its own seed unless told."""
    if address is not None:
        text = re.sub(r"\b(listen|rpc)_interface: .*", rf"\1_address: {address}", text)
        text = re.sub(r"seeds: .*", f"seeds: {seeds or address}", text)
    return text.replace(STORAGE, str(storage))
