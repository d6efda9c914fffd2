"""Runs the FastAPI peer under uvicorn, and prints where it listens as our receiver does."""

import asyncio
import logging
import os
import socket
import sys

import uvicorn


async def _run() -> None:
    host, _, port = os.environ["WEBHOOK_ADDRESS"].rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=4096)
    config = uvicorn.Config(
        "bench.peers.fastapi_events:app", loop="uvloop", http="httptools", access_log=False
    )
    logging.info("listening on http://%s:%d", *listener.getsockname())
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asyncio.run(_run())
