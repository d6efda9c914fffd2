"""Which allocations are alive, and how fast each of them receives.

Consul says which are alive: the instances of the service whose checks pass; or a name does
(`webhook.names`). Each of these answers
`GET /allocation` with its rate. So any allocation that is asked for the list can return all of
them. Nothing is sent unless somebody asks, and a list is made at most once per second, however many
ask.
"""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

log = logging.getLogger(__name__)

CONSUL_SECONDS = 1.0
ANSWER_SECONDS = 1.0
SHARED_SECONDS = 1.0
ASKED_AT_ONCE = 100  # the others wait, so that no list takes all the connections there are
ANSWER_BYTES = 1 << 14

_OF_NOMAD = re.compile(r"_nomad-task-([0-9a-f]{8})-")


class ThisAllocation(msgspec.Struct, frozen=True):
    """What an allocation reports about itself."""

    id: str
    node: str
    address: str
    events_per_second: float


class Allocation(msgspec.Struct, frozen=True):
    """An allocation in the list of all; the rate is None if it did not say."""

    id: str
    node: str
    address: str
    events_per_second: float | None
    this: bool
    """Whether it is the one that made the list."""


class Listing(msgspec.Struct, frozen=True):
    """What the live page shows of them."""

    allocations: list[Allocation] | None
    """All that are alive, by id; None if nobody says."""
    wanted: int | None = None
    """How many there should be; None if nobody says (`webhook.wanted`)."""


class CatalogUnavailable(Exception):  # noqa: N818 - a state, which heals
    """Nobody says who is alive; the message says why."""


class _Node(msgspec.Struct, frozen=True, rename="pascal"):
    node: str
    address: str


class _Service(msgspec.Struct, frozen=True, rename="pascal"):
    address: str
    port: int
    id: str = msgspec.field(name="ID")


class Instance(msgspec.Struct, frozen=True, rename="pascal"):
    """An instance of the service as Consul's health endpoint shows it."""

    node: _Node
    service: _Service

    @classmethod
    def at(cls, host: str, port: int) -> "Instance":
        """One of which nothing but the address is known."""
        return cls(_Node("", host), _Service("", port, f"{with_brackets(host)}:{port}"))

    @property
    def id(self) -> str:
        """Nomad's short id of the allocation, or the service's id where another registered it."""
        match = _OF_NOMAD.match(self.service.id)
        return match[1] if match else self.service.id

    @property
    def address(self) -> str:
        """`host:port`; a service without an address of its own has its node's."""
        host = self.service.address or self.node.address
        return f"{with_brackets(host)}:{self.service.port}"


def with_brackets(host: str) -> str:
    """`host` as it stands before a port: an IPv6 address has brackets there."""
    return f"[{host}]" if ":" in host else host


class Alive(Protocol):
    """Whoever knows which allocations are alive."""

    title: str
    """As people write it."""

    async def alive(self) -> list[Instance]:
        """The allocations, in no particular order. Raises CatalogUnavailable."""

    def close(self) -> None:
        """Stop asking."""


class Catalog:
    """The instances of `service` in the Consul whose agent listens at `host` and `port`.

    Its client blocks, so it runs in a thread of its own.
    """

    title = "Consul"

    def __init__(self, host: str, port: int, token: str, service: str) -> None:
        # Imported here, so that nobody loads the client without a Consul.
        from consul import Consul, ConsulException
        from consul.callback import CB

        self._client = Consul(
            with_brackets(host), port, scheme="http", connections_timeout=CONSUL_SECONDS
        )
        self._client.http.session.trust_env = False  # no proxy between a node and its own agent
        self._headers = self._client.prepare_headers(token)
        self._path = f"/v1/health/service/{service}"
        self._parse: Callable[[Any], Any] = CB.json(allow_404=False)
        self._errors = (ConsulException, OSError, msgspec.ValidationError)  # OSError: of requests
        self._thread = ThreadPoolExecutor(1, "consul")

    async def alive(self) -> list[Instance]:
        """The instances whose checks pass, in no particular order. Raises CatalogUnavailable."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONSUL_SECONDS):
                return await loop.run_in_executor(self._thread, self._ask)
        except TimeoutError:
            raise CatalogUnavailable(f"no answer within {CONSUL_SECONDS:g} s") from None
        except self._errors as error:
            raise CatalogUnavailable(str(error)) from error

    def _ask(self) -> list[Instance]:
        # Not `health.service`, which can't ask for a stale read. A stale one is answered by any
        # server, also while there is no leader: when a node dies is when one wants to look.
        found = self._client.http.get(
            self._parse,
            self._path,
            params=[("passing", "1"), ("stale", "1")],
            headers=self._headers,
        )
        return msgspec.convert(found, list[Instance])

    def close(self) -> None:
        """Let go of the thread and the connection."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._client.http.session.close()


class Allocations:
    """Makes the list of all allocations; `itself` tells of the one that this process is.

    `tls` gives what to ask the others with, None for plain HTTP; `wanted` how many there should be.
    """

    def __init__(
        self,
        catalog: Alive,
        itself: Callable[[], ThisAllocation],
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        wanted: Callable[[], Awaitable[int | None]] | None = None,
    ) -> None:
        self._tls = tls
        self._wanted = wanted
        self._catalog = catalog
        self._itself = itself
        self._client = AsyncHTTPClient(
            force_instance=True, max_clients=ASKED_AT_ONCE, max_body_size=ANSWER_BYTES
        )
        self._reading: asyncio.Task[Listing] | None = None
        self._read_at = 0.0
        self._ids: dict[str, str] = {}
        """The names of the live allocations, by their service's id in the catalog."""
        self._catalog_answers = True

    async def read(self) -> Listing:
        """As of now, or no older than a second."""
        reading = self._reading
        if reading is None or (
            reading.done() and time.monotonic() - self._read_at > SHARED_SECONDS
        ):
            reading = self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(reading)

    async def close(self) -> None:
        """Stop asking."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._client.close()
        self._catalog.close()

    async def _read(self) -> Listing:
        try:
            if self._wanted is None:
                return Listing(await self._list())
            return Listing(*await asyncio.gather(self._list(), self._wanted()))
        finally:
            self._read_at = time.monotonic()

    async def _list(self) -> list[Allocation] | None:
        try:
            instances = await self._catalog.alive()
        except CatalogUnavailable as error:
            if self._catalog_answers:
                log.warning(
                    "no list of allocations until %s says which are alive: %s",
                    self._catalog.title,
                    error,
                )
            self._catalog_answers = False
            return None
        if not self._catalog_answers:
            log.info("%s lists the live allocations again", self._catalog.title)
        self._catalog_answers = True
        this = self._itself().id
        rows = await asyncio.gather(*(self._ask(instance, this) for instance in instances))
        alive = {instance.service.id for instance in instances}
        self._ids = {service: id_ for service, id_ in self._ids.items() if service in alive}
        return sorted(rows, key=lambda row: (row.id, row.address))

    async def _ask(self, instance: Instance, this: str) -> Allocation:
        tls = self._tls()
        try:
            answer = await self._client.fetch(
                f"http{'s' if tls else ''}://{instance.address}/allocation",
                ssl_options=tls,
                connect_timeout=ANSWER_SECONDS,
                request_timeout=ANSWER_SECONDS,
                follow_redirects=False,
            )
            told = msgspec.json.decode(answer.body, type=ThisAllocation)
        except (HTTPClientError, OSError, ValueError, msgspec.DecodeError):
            told = None  # it hangs, has just died, or is older than this question
        if told is not None:
            self._ids[instance.service.id] = told.id
        id_ = self._ids.get(instance.service.id, instance.id)
        return Allocation(
            id=id_,
            node=instance.node.node or ("" if told is None else told.node),
            address=instance.address,
            events_per_second=None if told is None else told.events_per_second,
            this=id_ == this,
        )
