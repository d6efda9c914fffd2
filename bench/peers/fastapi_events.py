"""The peer: FastAPI on uvicorn, an INSERT and a commit per event into SQLite.

It gives the same guarantees as ours (WAL, `synchronous=FULL`), and is written as the FastAPI
tutorial shows: a Pydantic model, a connection opened at start, an endpoint. `async def` rather than
`def` because it was the faster of the two here: the thread pool's connections wait for one
another's locks.
"""

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

PATH = os.environ["WEBHOOK_STORE"].removeprefix("sqlite:///")


class Event(BaseModel):
    """A call event; further fields are kept."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(min_length=1)
    call_id: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database for as long as the application runs."""
    app.state.db = sqlite3.connect(PATH)
    app.state.db.execute("PRAGMA journal_mode = WAL")
    app.state.db.execute("PRAGMA synchronous = FULL")
    app.state.db.execute(
        "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, received_at REAL, type TEXT, "
        "call_id TEXT, body TEXT)"
    )
    yield
    app.state.db.close()


app = FastAPI(lifespan=lifespan)


@app.post("/events")
async def post_event(event: Event) -> dict[str, int]:
    """Store one event."""
    app.state.db.execute(
        "INSERT INTO events (received_at, type, call_id, body) VALUES (?, ?, ?, ?)",
        (time.time(), event.type, event.call_id, event.model_dump_json()),
    )
    app.state.db.commit()
    return {"accepted": 1}
