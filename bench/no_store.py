"""The receiver with a store that stores nothing: the ceiling, to compare durability with."""

import logging
import os
from collections.abc import Mapping, Sequence

import uvloop

from webhook.events import Event
from webhook.server import Receiver
from webhook.settings import Settings


class NoStore:
    """Fulfils the store's contract but for its promises."""

    lanes = 1
    group_seconds = 0
    reads = 0

    async def open(self) -> None:
        """Nothing to open."""

    async def write(self, batch: Sequence[Event]) -> None:
        """Forget `batch`."""

    async def counts_since(self, second: int) -> Mapping[int, int]:  # noqa: ARG002
        """Nothing was kept."""
        return {}

    async def health(self) -> None:
        """Always well."""

    async def close(self) -> None:
        """Nothing to close."""


async def _run() -> None:
    await Receiver(Settings.from_env(os.environ), NoStore()).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvloop.run(_run())
