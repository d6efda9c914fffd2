"""The peer: FastAPI on uvicorn and cassandra-driver, an INSERT per event, prepared, by quorum.

It is written as the tutorials show: a Pydantic model, a session opened at start, an endpoint. The
driver has no asyncio interface: its callbacks, which run on the driver's own thread, settle a
future. uvicorn runs with uvloop and httptools, the driver with libev and otherwise with its
defaults: one connection to each node, and no TCP_NODELAY. `python -m bench.peers.fastapi_cassandra`
runs it.
"""

import asyncio
import logging
import os
import random
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import uvicorn
import uvloop
from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.io.libevreactor import LibevConnection
from cassandra.query import PreparedStatement
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

INSERT = (
    "INSERT INTO events (minute, bucket, id, received_at, type, call_id, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
BUCKETS = 16


class Event(BaseModel):
    """A call event; further fields are kept."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(min_length=1)
    call_id: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the session for as long as the application runs."""
    store = urlsplit(os.environ["WEBHOOK_STORE"])
    profile = ExecutionProfile(consistency_level=ConsistencyLevel.QUORUM)
    cluster = Cluster(
        store.netloc.split(","),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connection_class=LibevConnection,
    )
    app.state.session = cluster.connect(store.path.strip("/"))
    app.state.insert = app.state.session.prepare(INSERT)
    yield
    cluster.shutdown()


app = FastAPI(lifespan=lifespan)


@app.post("/events")
async def post_event(event: Event) -> dict[str, int]:
    """Store one event."""
    now = datetime.now(UTC)
    minute = int(now.timestamp()) // 60
    bucket = random.randrange(BUCKETS)  # noqa: S311 - spreads, and hides nothing
    body = event.model_dump_json()
    values = (minute, bucket, uuid.uuid1(), now, event.type, event.call_id, body)
    await execute(app.state.session, app.state.insert, values)
    return {"accepted": 1}


async def execute(session: Session, statement: PreparedStatement, values: Sequence[Any]) -> None:
    """Carry out `statement`; raises what the driver has to say."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def succeed(_: object) -> None:
        loop.call_soon_threadsafe(settle, None)

    def fail(error: Exception) -> None:
        loop.call_soon_threadsafe(settle, error)

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    session.execute_async(statement, values).add_callbacks(succeed, fail)
    await done


async def serve() -> None:
    """Listen, and say where as our receiver does."""
    host, _, port = os.environ["WEBHOOK_ADDRESS"].rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=4096)
    config = uvicorn.Config(app, http="httptools", access_log=False)
    logging.info("listening on http://%s:%d", *listener.getsockname())
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    uvloop.run(serve())
