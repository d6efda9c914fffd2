"""Rings of real Cassandra nodes, each in its own namespaces, configured by `cassandra/` as it is.

    with Ring(directory, nodes=3) as ring:
        ring.apply_schema("my_keyspace")
        with ring.session() as session:
            session.execute(...)
        ring.kill(2)
        ring.start_node(2)
        ring.wait_up()

Nodes are numbered from 1; node n is 192.168.56.1n, reached from the host's own network. The whole
ring ends with the process that made it, however that ends.
"""

import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from cluster import layout
from cluster.layout import CQL_PORT, HOST_ADDRESS, HOST_INTERFACE, NETWORK
from cluster.linux.namespace import (
    Machine,
    Switch,
    children,
    in_memory,
    missing,
    must,
    routes_to,
    signal_process,
)
from cluster.ring.schema import Schema, apply_schema
from harness.waiting import wait_for
from tools.root import ROOT
from tools.say import say

CASSANDRA = str(ROOT / "scripts" / "cassandra")
CASSANDRA_NODE = (sys.executable, CASSANDRA, "node")
HOST = HOST_ADDRESS.partition("/")[0]
INTERFACE = HOST_INTERFACE
LOCK = "\0teracompra-ring"
NOWHERE = "02:00:00:00:00:00"  # a hardware address that nobody has
START_SECONDS = 120.0
STOP_SECONDS = 60.0

# A node waits a second for other seeds, in place of 30, and not until gossip has settled: `wait_up`
# sees to that.
QUICK = ("-Dcassandra.ring_delay_ms=1000", "-Dcassandra.skip_wait_for_gossip_to_settle=0")
# For a ring that nobody measures: compiled less, it is there in two thirds of the time.
SHORT_LIVED = (*QUICK, "-XX:TieredStopAtLevel=1")


class RingError(Exception):
    """A ring does not behave as asked; the message has the end of a node's log."""


class NoRingError(Exception):
    """There can be no ring on this machine; the message says why."""


class Node:
    """One node: its machine, its folder, and its JVM if it runs."""

    def __init__(self, number: int, directory: Path) -> None:
        self.number = number
        self.host = layout.Node(number).address
        self.directory = directory / f"node-{number}"
        self.data = self.directory / "lib" / "cassandra"
        self.log = self.directory / "log"
        self.machine = Machine(f"node-{number}")
        self.process: subprocess.Popen[bytes] | None = None
        self.traced = False
        self.paused = False
        self.parted = False
        self.disturbed = False
        """Whether something was done to it since it was last seen up."""

    @property
    def pid(self) -> int:
        """The JVM, as the host numbers it. Raises RingError if none runs."""
        parents = [self.process.pid] if self.process is not None else []
        for _ in range(1 + self.traced):  # nsenter has one child, and so has a tracer
            parents = [child for parent in parents for child in children(parent)]
        if not parents:
            raise RingError(f"node {self.number} does not run\n{self.tail()}")
        return parents[0]

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Ring:
    """`nodes` real nodes with their data below `directory`, from `with` until its end.

    `settings` replace single ones of cassandra.yaml, `jvm_options` are given to the JVM after those
    of cassandra/jvm.options, `command` goes before it (a tracer). Raises NoRingError where there
    can be no namespaces, RingError where it does not work.
    """

    def __init__(
        self,
        directory: Path,
        nodes: int = 1,
        *,
        settings: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = QUICK,
        command: Sequence[str] = (),
        wait_seconds: float = 120.0,
    ) -> None:
        self.directory = directory
        self.nodes = {number: Node(number, directory) for number in range(1, nodes + 1)}
        options = list(jvm_options)
        if settings:
            options.append("-Dcassandra.config.allow_system_properties=true")
            options += [f"-Dcassandra.settings.{name}={value}" for name, value in settings.items()]
        self._environ = {**os.environ, "CASSANDRA_JVM_OPTIONS": shlex.join(options)}
        self._command = list(command)
        self._wait_seconds = wait_seconds
        self._switch = Switch("switch")
        self._stack = ExitStack()

    @property
    def hosts(self) -> list[str]:
        """The addresses of all nodes, running or not."""
        return [node.host for node in self.nodes.values()]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Beginning and end

    def start(self) -> Self:
        """Make the machines, start all nodes, and return when the ring is whole."""
        if reason := missing():
            raise NoRingError(f"no ring of real nodes here: {reason}")
        self._refuse_memory()
        try:
            subprocess.run([sys.executable, CASSANDRA, "get"], check=True)
            self._stack.enter_context(_lock(self._wait_seconds))
            self._refuse_taken_network()
            self._stack.enter_context(self._switch)
            self._switch.plug_host(INTERFACE, HOST_ADDRESS)
            for node in self.nodes.values():
                self._make_machine(node)
            for number in self.nodes:  # one by one: at the same time two may pick the same tokens
                self.start_node(number)
                self.wait_up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill everything at once; the data stays in `directory` for another ring to take up."""
        for machine in (*(node.machine for node in self.nodes.values()), self._switch):
            machine.kill()
        self._stack.close()
        for node in self.nodes.values():
            if node.process is not None:
                node.process.wait(STOP_SECONDS)
                node.process = None

    def _make_machine(self, node: Node) -> None:
        node.data.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(node.machine)
        self._switch.plug(node.machine, "eth1", f"{node.host}/24")
        source, target = node.data, Path("/var/lib/cassandra")
        if not target.exists():  # then over all of /var/lib: the host gets no folder for it
            source, target = source.parent, target.parent
        node.machine.must("mount", "--bind", str(source), str(target))

    def _refuse_memory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if kind := in_memory(self.directory):
            raise RingError(
                f"{self.directory} is on {kind}, where a sync means nothing; take a folder on a "
                "disk (pytest --basetemp DIR)"
            )

    def _refuse_taken_network(self) -> None:
        # A ring that was killed a moment ago may still be going.
        wait_for(lambda: INTERFACE not in routes_to(NETWORK), f"the end of interface {INTERFACE}")
        if taken := routes_to(NETWORK):
            raise RingError(f"{NETWORK} is in use on this machine, and the ring needs it:\n{taken}")

    # One node

    def start_node(self, number: int, command: Sequence[str] = ()) -> None:
        """Start a node that does not run, without waiting for it; `command` goes before its own."""
        if self.runs(number):
            raise RingError(f"node {number} already runs")
        node = self.nodes[number]
        with node.log.open("ab") as log:
            node.process = subprocess.Popen(
                node.machine.inside(*self._command, *command, *CASSANDRA_NODE),
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        node.paused, node.traced = False, bool(self._command)
        node.disturbed = True

    def kill(self, number: int) -> None:
        """SIGKILL."""
        self._end(number, signal.SIGKILL)

    def stop_node(self, number: int) -> None:
        """SIGTERM, which lets it announce its end to the others."""
        self._end(number, signal.SIGTERM)

    def _end(self, number: int, how: signal.Signals) -> None:
        node = self.nodes[number]
        if node.process is None:
            raise RingError(f"node {number} does not run")
        node.disturbed = True
        pid = node.pid
        signal_process(pid, how)
        self._continue(node, pid)
        node.process.wait(STOP_SECONDS)
        node.process = None

    def pause(self, number: int) -> None:
        """SIGSTOP: it answers nobody, and its connections stay open."""
        node = self.nodes[number]
        signal_process(node.pid, signal.SIGSTOP)
        node.paused = node.disturbed = True

    def resume(self, number: int) -> None:
        """SIGCONT."""
        node = self.nodes[number]
        self._continue(node, node.pid)

    def _continue(self, node: Node, pid: int) -> None:
        if node.paused and node.process is not None:
            signal_process(node.process.pid, signal.SIGCONT)  # nsenter stops with its child
            signal_process(pid, signal.SIGCONT)
        node.paused = False

    def pid(self, number: int) -> int:
        """The node's JVM."""
        return self.nodes[number].pid

    def runs(self, number: int) -> bool:
        """Whether the node's process has not ended."""
        process = self.nodes[number].process
        return process is not None and process.poll() is None

    def log(self, number: int) -> str:
        """All that the node has written."""
        return self.nodes[number].log.read_text(errors="replace")

    def nodetool(self, number: int, *arguments: str) -> str:
        """What nodetool on that node prints. Raises RingError."""
        done = subprocess.run(
            self.nodes[number].machine.inside(sys.executable, CASSANDRA, "nodetool", *arguments),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RingError(f"nodetool {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def restore(self) -> None:
        """Undo what was done to the nodes; returns when the ring is whole."""
        hurt = [n for n, node in self.nodes.items() if node.parted or node.paused]
        ended = [n for n in self.nodes if not self.runs(n)]
        for number in hurt:
            self.heal(number)
            if self.runs(number):
                self.resume(number)
        for number in ended:
            self.nodes[number].process = None
            self.start_node(number)
        if any(node.disturbed for node in self.nodes.values()):
            self.wait_up()

    # The network

    def cut(self, number: int) -> None:
        """Cut a node off from the other nodes, silently, both ways; clients still reach it."""
        self.nodes[number].parted = self.nodes[number].disturbed = True
        for node, other in self._pairs(number):
            neighbour = ["ip", "neighbour", "replace", other.host, "lladdr", NOWHERE]
            node.machine.must(*neighbour, "nud", "permanent", "dev", "eth1")

    def hide(self, number: int) -> None:
        """Cut a node off from clients, silently; the other nodes still reach it."""
        self.nodes[number].parted = self.nodes[number].disturbed = True
        neighbour = ["ip", "neighbour", "replace", self.nodes[number].host, "lladdr", NOWHERE]
        must([*neighbour, "nud", "permanent", "dev", INTERFACE])

    def heal(self, number: int) -> None:
        """Undo `cut`, `isolate` and `hide`."""
        self.nodes[number].parted = False
        hidden = ["ip", "neighbour", "show", self.nodes[number].host, "dev", INTERFACE]
        if NOWHERE in must(hidden):
            must(["ip", "neighbour", "del", self.nodes[number].host, "dev", INTERFACE])
        self._switch.cable(self.nodes[number].machine, "up")
        for node, other in self._pairs(number):
            shown = node.machine.must("ip", "neighbour", "show", other.host)
            if NOWHERE in shown:
                node.machine.must("ip", "neighbour", "del", other.host, "dev", "eth1")

    def isolate(self, number: int) -> None:
        """Pull a node's cable: nobody reaches it."""
        self.nodes[number].parted = self.nodes[number].disturbed = True
        self._switch.cable(self.nodes[number].machine, "down")

    def _pairs(self, number: int) -> Iterator[tuple[Node, Node]]:
        for other in self.nodes.values():
            if other.number != number:
                yield self.nodes[number], other
                yield other, self.nodes[number]

    # Clients

    @contextmanager
    def session(self, *numbers: int, keyspace: str | None = None) -> Iterator[Any]:
        """A session of the driver with these nodes only, or with all."""
        from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
        from cassandra.policies import WhiteListRoundRobinPolicy

        hosts = [self.nodes[number].host for number in numbers] or self.hosts
        profile = ExecutionProfile(WhiteListRoundRobinPolicy(hosts), request_timeout=10)
        cluster = Cluster(
            hosts,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            protocol_version=5,
            connect_timeout=10,
        )
        try:
            yield cluster.connect(keyspace)
        finally:
            cluster.shutdown()

    def apply_schema(
        self, keyspace: str = "teracompra", *, replication: int | None = None, **settings: int
    ) -> None:
        """Make the tables in `keyspace`, by default with as many replicas as nodes."""
        schema = Schema(keyspace, replication or len(self.nodes), **settings)
        with self.session() as session:
            apply_schema(session, schema)

    def new_keyspace(self) -> str:
        """The name of a new keyspace with its tables."""
        keyspace = f"test_{uuid.uuid4().hex[:12]}"
        self.apply_schema(keyspace)
        return keyspace

    def wait_up(self, *numbers: int, seconds: float = START_SECONDS) -> None:
        """Return when these nodes, or all that run, take clients and hold each other for alive."""
        running = [n for n, node in self.nodes.items() if self.runs(n) and not node.paused]
        expected = list(numbers) or running
        deadline = time.monotonic() + seconds
        for number in expected:
            while (reason := self._not_up(number, len(expected))) is not None:
                node = self.nodes[number]
                if not self.runs(number):
                    raise RingError(f"node {number} has ended:\n{node.tail()}")
                if time.monotonic() > deadline:
                    raise RingError(
                        f"node {number} not up within {seconds:g} s: {reason}\n{node.tail()}"
                    )
                time.sleep(0.2)
        for number in expected:
            self.nodes[number].disturbed = False

    def _not_up(self, number: int, alive: int) -> str | None:
        """Why the node is not up yet, or None: it must hold `alive` nodes of the ring for alive."""
        from cassandra import ConsistencyLevel as Level
        from cassandra import DriverException
        from cassandra.cluster import NoHostAvailable
        from cassandra.query import SimpleStatement

        try:
            socket.create_connection((self.nodes[number].host, CQL_PORT), 1).close()
        except OSError as error:
            return f"port {CQL_PORT}: {error}"
        # This keyspace has three replicas on every ring: too few alive are refused at once.
        level = {1: Level.ONE, 2: Level.TWO, 3: Level.THREE}[alive]
        query = "SELECT status FROM system_distributed.view_build_status"
        query += " WHERE keyspace_name = '' AND view_name = ''"
        try:
            with self.session(number) as session:
                session.execute(SimpleStatement(query, consistency_level=level))
        except (DriverException, NoHostAvailable) as error:
            return str(error)
        return None


@contextmanager
def _lock(seconds: float) -> Iterator[None]:
    """The right to the one set of addresses; the kernel takes it back when its process ends."""
    with socket.socket(socket.AF_UNIX) as lock:
        deadline = time.monotonic() + seconds
        holder = 0
        while True:
            try:
                lock.bind(LOCK)
                break
            except OSError:
                if not holder and (holder := _holder()):
                    say(f"waiting for the ring of process {holder} to end")
                if holder == os.getpid():
                    raise RingError("this process has a ring already, at these addresses") from None
                if time.monotonic() > deadline:
                    raise RingError(
                        f"process {holder} has a ring, and keeps it; `unshare --net` gives a "
                        "command a network of its own, with room for another one"
                    ) from None
                time.sleep(0.2)
        lock.listen()
        yield


def _holder() -> int:
    """The process that has the lock, 0 if it let go meanwhile."""
    with socket.socket(socket.AF_UNIX) as asking:
        if asking.connect_ex(LOCK):
            return 0
        size = struct.calcsize("3i")
        peer = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", peer)[0])
