"""Which nodes answer this one: it sends each a datagram every 0.4 s, and the node returns it.

A node that has no power, hangs, or is behind a broken network sends nothing. A node where nothing
listens says so by ICMP: its programs may have ended, but it is there.
"""

import asyncio
from collections.abc import Mapping
from typing import cast

BEAT_SECONDS = 0.4
MISSED = 5
"""So many beats without an answer, one after the other, and a node is silent.

It counts beats, not seconds: a node that was itself held up for a while blames no other.
"""


class Echo(asyncio.DatagramProtocol):
    """Sends each datagram back to where it came from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._transport.sendto(data, address)


class Peer(asyncio.DatagramProtocol):
    """Another node, and how many beats it has not answered."""

    def __init__(self) -> None:
        self.missed = 0
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def silent(self) -> bool:
        """Whether it has not answered for too long."""
        return self.missed > MISSED

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, _data: bytes, _address: tuple[str, int]) -> None:
        self.missed = 0

    def error_received(self, error: Exception) -> None:
        if isinstance(error, ConnectionRefusedError):
            self.missed = 0

    def beat(self) -> None:
        """Send one."""
        self.missed += 1
        if self._transport is not None:
            self._transport.sendto(b"beat")

    def close(self) -> None:
        """Send no more."""
        if self._transport is not None:
            self._transport.close()


class Beats:
    """Beats to all other nodes; `port` is where their programs like this one listen."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._peers: dict[str, Peer] = {}
        self._addresses: dict[str, str] = {}

    @property
    def peers(self) -> Mapping[str, Peer]:
        """By their names."""
        return self._peers

    @property
    def silent(self) -> set[str]:
        """The names of the nodes that don't answer."""
        return {name for name, peer in self._peers.items() if peer.silent}

    async def know(self, nodes: Mapping[str, str]) -> None:
        """The other nodes are these now: addresses by name."""
        for name in [name for name in self._peers if nodes.get(name) != self._addresses[name]]:
            self._peers.pop(name).close()
            del self._addresses[name]
        loop = asyncio.get_running_loop()
        for name, address in nodes.items():
            if name not in self._peers:
                _, peer = await loop.create_datagram_endpoint(
                    Peer, remote_addr=(address, self._port)
                )
                self._peers[name], self._addresses[name] = peer, address

    async def go_on(self) -> None:
        """Send beats until cancelled."""
        while True:
            for peer in self._peers.values():
                peer.beat()
            await asyncio.sleep(BEAT_SECONDS)

    def close(self) -> None:
        """Send no more."""
        for peer in self._peers.values():
            peer.close()
