"""Distance between a client and a server: every byte takes its time, in both directions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def relay(port: int, seconds: float) -> AsyncIterator[int]:
    """A port from which everything arrives `seconds` later at `port`, and the other way round."""

    open_ones: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, there[1], seconds), _carry(there[0], writer, seconds))

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(asyncio.ensure_future(carry(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if open_ones:
            await asyncio.wait(open_ones, timeout=30)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    """Pieces on their way, each with the time at which it arrives; b"" is the end."""
    loop = asyncio.get_running_loop()
    on_their_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            at, data = await on_their_way.get()
            await asyncio.sleep(at - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)

    arriving = asyncio.create_task(arrive())
    data = b"x"
    while data:
        data = b""
        with suppress(ConnectionError):
            data = await reader.read(1 << 16)
        on_their_way.put_nowait((loop.time() + seconds, data))
    with suppress(ConnectionError):
        await arriving
