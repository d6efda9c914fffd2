"""Which instances say that they take events: each is asked on a new connection, like a client's."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from cluster.routing.targets import Probe

PROBE_SECONDS = 0.5
LATEST_SECONDS = 5.0
"""From the start of a round of probes to the next one, at least and at most."""
SHARE = 0.02
"""Of a core, for the probes of all instances; rounds are further apart where it is too little."""
ANSWER_SECONDS = 1.0
REQUEST = b"GET /ready HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"


def pause(took: float, cpu: float) -> float:
    """Seconds until the next round, after one that took `took` seconds and `cpu` of CPU time.

    Each node asks each instance, so the work grows with the square of the cluster. And a machine
    that needs long for it has no time to spare.
    """
    return max(0.0, min(max(PROBE_SECONDS, cpu / SHARE), LATEST_SECONDS) - took)


async def probe_all(addresses: Iterable[str]) -> dict[str, Probe]:
    """What each instance says of itself, by address; takes at most `ANSWER_SECONDS`."""
    wanted = list(addresses)
    return dict(zip(wanted, await asyncio.gather(*map(probe, wanted)), strict=True))


async def probe(address: str) -> Probe:
    """What the instance at host:port says of itself."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await _ask(address)
    except ConnectionRefusedError:
        return Probe.ABSENT
    except (OSError, TimeoutError):
        return Probe.LATE


async def _ask(address: str) -> Probe:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(REQUEST % address.encode())
        version, _, rest = (await reader.readline()).partition(b" ")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if not version.startswith(b"HTTP/1."):
        return Probe.LATE  # closed without an answer: it may have no room just now
    return Probe.READY if rest.startswith(b"200") else Probe.NOT_READY
