"""Statements to the ring, for asyncio, over the current link.

The driver runs its own event loop on its own thread. The end of a statement crosses over to ours
once, whatever it carries. Errors come out as one of two kinds: the statement has certainly not been
carried out (`StoreUnavailable`), or nobody can tell (`OutcomeUnknown`).
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cassandra import ConsistencyLevel, RequestValidationException, Unavailable
from cassandra.cluster import NoHostAvailable, ResponseFuture, Session
from cassandra.cython_deps import HAVE_CYTHON
from cassandra.protocol import OverloadedErrorMessage
from cassandra.query import BoundStatement

from webhook.store.cassandra.link import RING_ERRORS, Link, in_words, open_link
from webhook.store.cassandra.login import LoginError, read_login
from webhook.store.cassandra.url import RingSettings as RingSettings
from webhook.store.contract import OutcomeUnknown, StartError, StoreUnavailable

log = logging.getLogger(__name__)

# The ring says no before it begins: too few nodes, too busy, not allowed, not possible.
REFUSALS = (Unavailable, OverloadedErrorMessage, NoHostAvailable, RequestValidationException)


class Ring:
    """The ring that `settings` name, and `statements` to it; `{}` in them is the keyspace.

    `connect`, or a `Keeper`, gives it a link.
    """

    def __init__(self, settings: RingSettings, statements: Sequence[str] = ()) -> None:
        self.settings = settings
        self._statements = tuple(statements)
        self._former: list[Link] = []
        self.link: Link | None = None
        self.trouble = "not connected to the ring yet"
        """Why there is no link, or why it lacks nodes; empty if nothing is known to be wrong."""

    def check(self) -> None:
        """Raise StartError if the driver lacks its C parts, or TLS or the login can't be used."""
        if not HAVE_CYTHON:
            raise StartError(
                "cassandra-driver is installed without its C extensions, and would be several "
                "times slower; install it from a wheel"
            )
        self.settings.tls()
        if self.settings.login is not None:
            try:
                read_login(Path(self.settings.login))
            except LoginError as error:
                raise StartError(f"WEBHOOK_STORE: {error}") from None

    @property
    def session(self) -> Session | None:
        """The driver's own session, None while not connected."""
        return self.link.session if self.link is not None else None

    def connect(self) -> None:
        """Connect once; blocks, for a thread. Raises StoreUnavailable or StartError."""
        self.use(self.new_link())

    def new_link(self, *, whole: bool = False) -> Link:
        """Another link, not used yet. See `open_link`, also for what it raises."""
        return open_link(self.settings, self._statements, whole=whole)

    def use(self, link: Link) -> None:
        """Send statements over `link` from now on; the one before is closed by `close_former`.

        What is under way continues over the old one, and fails with it: as a write of unknown
        outcome, which its lane repeats, the same, over this one.
        """
        if self.link is not None:
            self._former.append(self.link)
        self.link, self.trouble = link, ""

    async def execute(
        self, statement: str, values: Sequence[bytes], *, every_copy: bool = False
    ) -> list[Any]:
        """Carry out a prepared statement with `values`, cells in their own bytes; its rows.

        By a quorum; with `every_copy`, which is for reads, by all nodes that have one.

        Raises StoreUnavailable if it was certainly not carried out, OutcomeUnknown otherwise.
        """
        link = self.link
        if link is None:
            raise StoreUnavailable(self.trouble)
        bound = BoundStatement(link.prepared[statement])
        bound.values = list(values)
        bound.is_idempotent = True  # every one of ours is: same cells, same timestamp
        if every_copy:
            bound.consistency_level = ConsistencyLevel.ALL
        refused_by: list[Any] = []
        host = None  # whichever the driver picks
        while True:
            response, done = self._send(link, bound, host)
            try:
                return await done
            except REFUSALS as error:
                # A refusal speaks for the one node that was asked; another may have gone ahead.
                if len(response.attempted_hosts) > 1:
                    raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error
                refused_by += response.attempted_hosts
                # One that was cut off sees too few others for a while after it is back.
                others = [one for one in link.connected() if one not in refused_by]
                if not (isinstance(error, Unavailable) and others):
                    raise StoreUnavailable(self._refusal(error)) from error
                host = others[0]
            except Exception as error:  # also that of a connection that broke: a node died
                raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error

    def _send(
        self, link: Link, bound: BoundStatement, host: Any
    ) -> "tuple[ResponseFuture, asyncio.Future[list[Any]]]":
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Any]] = loop.create_future()
        try:
            response: ResponseFuture = link.session.execute_async(bound, host=host)
        except NoHostAvailable as error:
            raise StoreUnavailable(self._refusal(error)) from error
        # These run on the driver's thread, where an exception would vanish.
        response.add_callbacks(
            lambda rows: _cross(loop, done, rows or [], None),
            lambda error: _cross(loop, done, [], error),
        )
        return response, done

    def pages(self, statement: str, values: Sequence[bytes]) -> Iterator[Any]:
        """The rows of a prepared statement, however large they are; blocks, for a thread.

        Raises StoreUnavailable.
        """
        if self.link is None:
            raise StoreUnavailable(self.trouble)
        try:
            yield from self.link.pages(statement, values)
        except RING_ERRORS as error:
            raise StoreUnavailable(f"the ring can't be read: {in_words(error)}") from error

    def _refusal(self, error: Exception) -> str:
        if isinstance(error, NoHostAvailable):
            return f"no node answers: {self.trouble or in_words(error)}"
        return f"the ring refuses: {error}"

    def close_former(self) -> None:
        """Close the links that are no longer used; blocks, for a thread."""
        while self._former:
            self._former.pop().close()

    def close(self) -> None:
        """Close all connections; blocks, for a thread."""
        link, self.link = self.link, None
        self.close_former()
        if link is not None:
            link.close()


def _cross(
    loop: asyncio.AbstractEventLoop,
    done: "asyncio.Future[list[Any]]",
    rows: list[Any],
    error: Exception | None,
) -> None:
    """From the driver's thread to ours."""

    def settle() -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(rows)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits for it any more
        log.debug("a statement ended after the event loop")
