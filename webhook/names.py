"""Which allocations are alive, by a name that has the address of each.

It is meant for a headless Service of Kubernetes, which has the pods that are ready. A name says
neither what they are called nor where they run; each tells that of itself.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from webhook.allocations import CatalogUnavailable, Instance

ANSWER_SECONDS = 1.0


class Names:
    """The addresses of the name `host`, each with a receiver at `port`.

    The resolver blocks, so it runs in a thread of its own.
    """

    def __init__(self, host: str, port: int) -> None:
        self.title = f"the name {host}"
        self._host = host
        self._port = port
        self._thread = ThreadPoolExecutor(1, "names")

    async def alive(self) -> list[Instance]:
        """The receivers, in no particular order. Raises CatalogUnavailable."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await loop.run_in_executor(self._thread, self._ask)
        except TimeoutError:
            raise CatalogUnavailable(f"no answer within {ANSWER_SECONDS:g} s") from None
        except OSError as error:
            raise CatalogUnavailable(str(error)) from error

    def _ask(self) -> list[Instance]:
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        hosts = sorted({str(address[0]) for *_, address in found})
        return [Instance.at(host, self._port) for host in hosts]

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
