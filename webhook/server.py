"""The life of the receiver: start, serve, drain, stop."""

import asyncio
import gc
import logging
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from webhook.access import Access
from webhook.admission import Admission
from webhook.allocations import Alive, Allocations, Catalog, ThisAllocation, with_brackets
from webhook.app import Services, make_application
from webhook.certificate import Certificate, CertificateError
from webhook.clock import ReceiptClock
from webhook.commit import CommitLimits, Outcome
from webhook.counter import WindowCounter
from webhook.early import stops
from webhook.http.exchange import PostExchange
from webhook.http.limits import HttpLimits
from webhook.http.origin import Hosts
from webhook.http.server import RESERVED_FILES, HttpServer, raise_open_files_limit
from webhook.intake import Intake
from webhook.keys import KeysError
from webhook.lag import LoopLag
from webhook.metrics import (
    AccessCollector,
    AnswerTimes,
    ReceiverCollector,
    StoreCollector,
    WriteTimes,
    new_registry,
)
from webhook.names import Names
from webhook.problem import Problem
from webhook.rate import RecentRate
from webhook.settings import Settings
from webhook.store.contract import BoundsBodies, Gauged, StartError, Store
from webhook.wanted import Wanted

log = logging.getLogger(__name__)

WRITE_EVENTS = 4096  # a write is as large as the queue, up to these bounds
WRITE_BYTES = 4 << 20
LOOK_SECONDS = 1.0  # between two looks for a change of keys and certificate
# New objects before a collection, then collections before an older generation's. Often and little:
# with 50,000 objects a pass took 13 to 36 ms, which every event that came meanwhile waited for.
GC_THRESHOLDS = (2_000, 20, 100)


class Receiver:
    """One receiver: `await run()` serves until SIGTERM or SIGINT, then drains."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._stop = asyncio.Event()
        access = self._access = self._open_access()
        clock = ReceiptClock()
        registry = new_registry()
        counter = WindowCounter(store, clock, settings.window_seconds)
        self._answers = AnswerTimes()
        self._rate = RecentRate()
        self._lag = LoopLag()
        self._address = ("", 0)
        self._certificate = self._open_certificate()
        self._wanted: Wanted | None = None
        self._allocations = self._open_allocations()
        self._services = Services(
            store,
            counter,
            registry,
            lambda: self._intake.commit.hangs,
            clock,
            self._itself,
            self._allocations,
        )
        self._intake = Intake(
            store,
            clock,
            Admission(settings.max_events_per_second),
            CommitLimits(
                held_events=settings.max_held_events,
                held_bytes=settings.max_held_bytes,
                write_events=WRITE_EVENTS,
                write_bytes=WRITE_BYTES,
                answer_seconds=settings.answer_seconds,
            ),
            settings.max_array_events,
            self._answer,
            WriteTimes(registry).add,
            access if access is not None and access.guards_sending else None,
        )
        hosts = Hosts((*settings.host_names, platform.node()))
        self._http = HttpServer(
            make_application(self._services, settings.event_paths, hosts, access),
            self._intake.take,
            HttpLimits(
                header_bytes=settings.max_header_bytes,
                body_bytes=settings.max_body_bytes,
                receiving_bytes=settings.max_held_bytes,
                request_seconds=settings.request_seconds,
                idle_seconds=settings.idle_seconds,
                connection_age_seconds=settings.connection_age_seconds,
                event_paths=frozenset(path.encode() for path in settings.event_paths),
                hosts=hosts,
                admit=access.admit if access is not None and access.guards_sending else None,
            ),
            self._max_connections(),
            self._certificate.context if self._certificate is not None else None,
        )
        registry.register(
            ReceiverCollector(
                self._intake, counter, self._http, clock, self._answers, self._lag, settings
            )
        )
        if access is not None:
            registry.register(AccessCollector(access))
        if isinstance(store, Gauged):
            registry.register(StoreCollector(store))

    async def run(self) -> None:
        """Start, serve, drain, stop. Raises StartError."""
        self._hear_stop()
        self._refuse_large_bodies()
        await self._open_store()
        watch = asyncio.create_task(self._lag.watch())
        try:
            self._intake.commit.start()
            self._listen()
            await self._serve()
            await self._drain()
        finally:
            watch.cancel()
            if self._allocations is not None:
                await self._allocations.close()
            if self._wanted is not None:
                self._wanted.close()
            await self._store.close()

    def _refuse_large_bodies(self) -> None:
        """What the store can never write must not be asked for again and again with a 503."""
        settings = self._settings
        if not isinstance(self._store, BoundsBodies):
            return
        most = self._store.largest_body(settings.max_array_events)
        if settings.max_body_bytes > most:
            raise StartError(
                f"WEBHOOK_MAX_BODY_BYTES={settings.max_body_bytes} is not allowed with this "
                f"store: it must be at most {most}, which is what the store can write of one POST"
            )

    def _listen(self) -> None:
        settings = self._settings
        try:
            self._address = self._http.start(settings.host, settings.port)
        except OSError as error:
            raise StartError(
                f"can't listen on WEBHOOK_ADDRESS={settings.address}: {error.strerror}; stop what "
                "listens there, or choose another address"
            ) from error
        self._services.ready = True
        gc.collect()
        gc.freeze()  # what is there from the start need not be looked at again
        gc.set_threshold(*GC_THRESHOLDS)
        scheme = "http" if self._certificate is None else "https"
        log.info("listening on %s://%s", scheme, self._shown_address())

    def _hear_stop(self) -> None:
        loop = asyncio.get_running_loop()
        for number in stops():
            loop.add_signal_handler(number, self._stop.set)

    async def _open_store(self) -> None:
        """Open the store, which may take long. A stop ends the process meanwhile.

        Nothing has been taken yet that could be lost, and nobody can call back a thread that opens
        a file.
        """
        opening = asyncio.create_task(self._store.open())
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([opening, stop], return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            log.info("stopped before the store was open")
            os._exit(0)
        stop.cancel()
        await opening

    async def _serve(self) -> None:
        stop = asyncio.create_task(self._stop.wait())
        broken = asyncio.create_task(self._intake.commit.broken())
        looking = asyncio.create_task(self._look_at_files())
        await asyncio.wait([stop, broken], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        looking.cancel()
        if broken.done():
            broken.result()
        broken.cancel()

    async def _drain(self) -> None:
        """What still arrives is stored and answered; only `/ready` says no."""
        loop = asyncio.get_running_loop()
        for number in stops():  # a second one ends it at once
            loop.add_signal_handler(number, os._exit, 128 + number)
        began = time.monotonic()
        seconds = self._settings.drain_seconds
        log.info("draining for at most %g s", seconds)
        self._services.ready = False
        await self._http.drain(seconds)
        await self._intake.commit.stop()  # tells waiting clients what is known
        self._http.stop()
        log.info("stopped after %.1f s", time.monotonic() - began)

    def _answer(self, exchanges: Sequence[PostExchange], problem: Problem | None) -> None:
        self._http.answer(exchanges, problem)
        now = time.monotonic()
        self._answers.add([exchange.submitted_at for exchange in exchanges], now)
        self._rate.note(self._intake.commit.figures.outcomes[Outcome.STORED], now)

    def _open_access(self) -> Access | None:
        """Raises StartError."""
        settings = self._settings
        if not settings.keys:
            if not settings.is_local:
                log.warning(
                    "whoever reaches %s can send events: set WEBHOOK_KEYS (docs/security.md)",
                    settings.address,
                )
            return None
        try:
            return Access(Path(settings.keys), settings.tolerance_seconds, settings.replay_ids)
        except KeysError as error:
            raise StartError(f"WEBHOOK_KEYS={settings.keys}: {error}") from error

    def _open_certificate(self) -> Certificate | None:
        """Raises StartError."""
        settings = self._settings
        if not settings.tls_cert:
            return None
        try:
            return Certificate(Path(settings.tls_cert), Path(settings.tls_key))
        except CertificateError as error:
            raise StartError(f"WEBHOOK_TLS_CERT and WEBHOOK_TLS_KEY: {error}") from error

    async def _look_at_files(self) -> None:
        """Take up what has changed in files that may."""
        while self._access is not None or self._certificate is not None:
            await asyncio.sleep(LOOK_SECONDS)
            if self._access is not None:
                self._access.look()
            if self._certificate is not None and self._certificate.look():
                self._http.tls = self._certificate.context

    def _open_allocations(self) -> Allocations | None:
        settings = self._settings
        catalog: Alive
        if settings.peers:
            catalog = Names(*settings.peers_address)
        elif settings.consul:
            catalog = self._catalog_of(settings.service)
        else:
            return None
        certificate = self._certificate
        if settings.consul and settings.autoscaler:
            self._wanted = Wanted(self._catalog_of(settings.autoscaler))
        return Allocations(
            catalog,
            self._itself,
            lambda: None if certificate is None else certificate.peers,
            None if self._wanted is None else self._wanted.read,
        )

    def _catalog_of(self, service: str) -> Catalog:
        settings = self._settings
        return Catalog(*settings.consul_address, settings.consul_token, service)

    def _itself(self) -> ThisAllocation:
        machine = platform.node()
        return ThisAllocation(
            id=self._settings.allocation or f"{machine}:{self._address[1]}",
            node=self._settings.node or machine,
            address=self._shown_address(),
            events_per_second=round(self._rate.events_per_second(time.monotonic()), 1),
        )

    def _shown_address(self) -> str:
        host, port = self._address
        return f"{with_brackets(host)}:{port}"

    def _max_connections(self) -> int:
        limit = raise_open_files_limit()
        allowed = max(1, limit - RESERVED_FILES)
        wanted = self._settings.max_connections or allowed
        if wanted > allowed:
            log.warning(
                "WEBHOOK_MAX_CONNECTIONS=%d is more than the open-files limit of %d allows",
                wanted,
                limit,
            )
        log.info("open-files limit %d: up to %d connections", limit, min(wanted, allowed))
        return min(wanted, allowed)
