"""Runs a server whose door closes politely: nobody who got in is thrown out.

A server that closes its listening socket resets the connections that wait there for `accept`: their
clients have sent an event and don't know what became of it. So at SIGTERM first the kernel stops
letting new ones in, then the server takes those that wait, and just then is told to end. Whoever
connects meanwhile is not answered, tries again after a second (TCP does), and is refused by then.
"""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

LISTENING = "0A"  # proc_pid_net_tcp(5); include/net/tcp_states.h
SO_ATTACH_FILTER = 26  # socket(7)
PIDFD_GETFD = 438  # the system call's number, on every architecture
TCP_INFO_BYTES = 104
WAITING_OFFSET = 24
"""Of `tcpi_unacked` in `struct tcp_info`: of a listening socket, who waits for `accept`."""
EMPTY_SECONDS = 0.1
"""Nobody has waited for so long: handshakes that had begun have ended, too."""
CLOSING_SECONDS = 1.0
LOOK_SECONDS = 0.02


def _instruction(code: int, value: int, if_not: int = 0) -> bytes:
    """Of the kernel's packet filter in its classic form, `struct sock_filter`."""
    return struct.pack("HBBI", code, 0, if_not, value)


NO_NEWCOMERS = b"".join(
    (
        _instruction(0x30, 13),  # load: the flags in TCP's header
        _instruction(0x54, 0x12),  # and: of them SYN and ACK
        _instruction(0x15, 0x02, if_not=1),  # SYN alone: somebody would like to connect
        _instruction(0x06, 0),  # drop the packet
        _instruction(0x06, 0xFFFFFFFF),  # take it as it is
    )
)


def run(command: Sequence[str], port: int) -> int:
    """Run the server that listens at this TCP port until it ends; its exit code, as a shell's.

    SIGTERM closes the door, and is passed on. The door is a plain TCP socket: one of multipath TCP,
    as Go's are if it isn't told otherwise, takes no filter.
    """
    server = subprocess.Popen(command)

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        try:
            close_door(server.pid, port)
        except OSError as error:
            print(f"who waits to be accepted will be reset: {error}", file=sys.stderr, flush=True)
        server.send_signal(number)

    signal.signal(signal.SIGTERM, end)
    code = server.wait()
    return code if code >= 0 else 128 - code


def close_door(pid: int, port: int) -> None:
    """Let nobody in who is not there yet, and return when nobody waits, or after a second.

    Raises OSError if the process does not listen there, or doesn't let itself be looked into.
    """
    with _listener(pid, port) as listener:
        program = ctypes.create_string_buffer(NO_NEWCOMERS)
        length = len(NO_NEWCOMERS) // len(_instruction(0, 0))
        filter_ = struct.pack("HL", length, ctypes.addressof(program))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
        deadline = time.monotonic() + CLOSING_SECONDS
        quiet_since = time.monotonic()
        while (now := time.monotonic()) < min(deadline, quiet_since + EMPTY_SECONDS):
            if waiting(listener):
                quiet_since = now
            time.sleep(LOOK_SECONDS)


def waiting(listener: socket.socket) -> int:
    """How many connections wait at a listening socket for `accept`."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    return int(struct.unpack_from("I", info, WAITING_OFFSET)[0])


class _Socket(NamedTuple):
    """A TCP socket of this machine at a port of its own."""

    state: str
    inode: str


def _listener(pid: int, port: int) -> socket.socket:
    """Another process's listening socket: the same one, as if it had been inherited."""
    listening = {f"socket:[{one.inode}]" for one in _sockets_at(port) if one.state == LISTENING}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed a moment ago
            if str(link.readlink()) in listening:
                return socket.socket(fileno=_file_of(pid, int(link.name)))
    raise FileNotFoundError(f"process {pid} does not listen at port {port}")


def _sockets_at(port: int) -> Iterator[_Socket]:
    """Of all processes."""
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a machine without IPv6
            rows = Path(f"/proc/self/net/{table}").read_text(encoding="ascii").splitlines()[1:]
            for row in rows:
                _, here, _, state, _, _, _, _, _, inode, *_ = row.split()
                if int(here.rpartition(":")[2], 16) == port:
                    yield _Socket(state, inode)


def _file_of(pid: int, number: int) -> int:
    """Another process's open file as this one's; its number here. Raises OSError."""
    process = os.pidfd_open(pid)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        file: int = library.syscall(PIDFD_GETFD, process, number, 0)
        if file < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{os.strerror(code)} (pidfd_getfd)")
        return file
    finally:
        os.close(process)
