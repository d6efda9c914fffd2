"""A server that is told to end, with connections that wait for it all the while."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from harness.waiting import wait_for
from tools.root import ROOT

# Slower than its clients, so some wait at its door at any moment. It ends as servers do: at once.
SERVER = """\
import signal, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
while True:
    with listener.accept()[0] as client:
        client.recv(100)
        client.sendall(b"stored")
    time.sleep(0.005)
"""
BEHIND_A_DOOR = (
    "import sys; from node.closing import run; sys.exit(run(sys.argv[1:-1], int(sys.argv[-1])))"
)
CLIENTS = 16


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


class Clients:
    """Connect to a port again and again until they are refused; what became of each connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.outcomes: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._connect) for _ in range(CLIENTS)]

    def _connect(self) -> None:
        outcome = "stored"
        while outcome == "stored":
            outcome = self._send()
            self.outcomes[outcome] += 1

    def _send(self) -> str:
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), 10)
        except ConnectionRefusedError:
            return "refused"
        with connection:
            try:
                connection.sendall(b"event")
                return connection.recv(100).decode() or "closed"
            except ConnectionResetError:
                return "reset"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)


def hammered(command: list[str], port: int) -> tuple[Clients, int, str]:
    """What clients see of a server that gets SIGTERM; its exit code, what it printed on stderr."""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: accepts(port), "a server")
            clients = Clients(port)
            clients.start()
            wait_for(lambda: clients.outcomes["stored"] > CLIENTS, "answers")
            process.send_signal(signal.SIGTERM)
            printed = process.communicate(timeout=30)[1]
        finally:
            process.kill()
        clients.join()
        return clients, process.returncode, printed


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_who_waits_at_the_door_is_answered_and_who_comes_later_is_refused(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    server.write_text(SERVER)
    port = free_port()
    alone = [sys.executable, str(server), str(port)]
    bare, _, _ = hammered(alone, port)
    assert bare.outcomes["reset"], "the fault is not there any more: drop the door"

    behind = [sys.executable, "-c", BEHIND_A_DOOR, *alone, str(port)]
    polite, code, printed = hammered(behind, port)
    if "Operation not permitted" in printed:
        pytest.skip(f"no process may look into another here: {printed.strip()}")
    assert set(polite.outcomes) == {"stored", "refused"}, (polite.outcomes, printed)
    assert polite.outcomes["refused"] == CLIENTS
    assert code == 7
    assert not printed


def test_a_server_that_does_not_listen_yet_is_ended_all_the_same() -> None:
    sleeping = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    command = [sys.executable, "-c", BEHIND_A_DOOR, *sleeping, str(free_port())]
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "does not listen at port" in printed
    assert time.monotonic() - began < 30
