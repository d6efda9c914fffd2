"""The Tornado application: every route but `POST /events`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler

from webhook.access import Access
from webhook.allocations import Allocations, Listing, ThisAllocation
from webhook.clock import SKEW_SECONDS, ReceiptClock
from webhook.counter import Reading, WindowCounter
from webhook.http.origin import Hosts, check_host
from webhook.http.response import BROWSER_HEADERS
from webhook.problem import CONTENT_TYPE, Problem, unavailable
from webhook.store.contract import Store, StoreUnavailable
from webhook.window import isoformat

PAGE_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE = Path(__file__).parent / "page"
PAGE_FILES = ("icon.svg", "page.css", "page.js")
"""Of it, those below /page/."""


@dataclass(slots=True)
class Services:
    """What the routes need."""

    store: Store
    counter: WindowCounter
    registry: CollectorRegistry
    hangs: Callable[[], bool]
    """Whether a write to the store hangs."""
    clock: ReceiptClock
    itself: Callable[[], ThisAllocation]
    """What this process is called, and how fast it receives."""
    allocations: Allocations | None
    """None if there is no Consul to ask."""
    ready: bool = False
    """False while starting and while draining."""


class ProblemHandler(RequestHandler):
    """Answers errors as problem+json."""

    says_nothing = False
    """Whether its answer tells nothing of the events, nor of the machine: then anybody may ask."""

    for_peers = False
    """Whether other receivers ask for it, which have no key."""

    def set_default_headers(self) -> None:
        """No Server header; nothing here is to be cached, nor of use to another site."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        for name, value in BROWSER_HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Called by Tornado before the method."""
        if not self.says_nothing:
            check_host(self.request.headers.get("Host", ""), self.settings["hosts"])
            access: Access | None = self.settings["access"]
            if access is not None and not self.for_peers:
                access.check_reader(self.request.headers.get("Authorization"))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by Tornado: `exc_info` holds what was raised."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        self.clear()
        problem = self._problem(status_code, error)
        self.set_status(problem.status)
        self.set_header("Content-Type", CONTENT_TYPE)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        self.finish(problem.body())

    def _problem(self, status_code: int, error: object) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, StoreUnavailable):
            return unavailable(f"the store can't be read at the moment: {error}")
        status = HTTPStatus(status_code)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = self.allowed_methods()
            return Problem(
                status,
                f"{self.request.path} takes {allowed}, not {self.request.method}",
                headers={"Allow": allowed},
            )
        if status is HTTPStatus.NOT_FOUND:
            return Problem(status, f"there is nothing at {self.request.path}")
        return Problem(status, f"{self.request.path}: {status.phrase.lower()}")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A client's mistake, or a store that is down, is an answer and not a bug."""
        expected = isinstance(value, Problem | StoreUnavailable) or (
            isinstance(value, HTTPError) and value.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
        )
        if not expected:
            super().log_exception(typ, value, tb)

    def allowed_methods(self) -> str:
        """The methods this handler implements, for Allow."""
        return ", ".join(
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        )


class Handler(ProblemHandler):
    """A route that answers from the services."""

    services: Services

    def initialize(self, services: Services) -> None:
        """Called by Tornado with what `make_application` gave."""
        self.services = services

    async def head(self) -> None:
        """Like GET; Tornado leaves the body out."""
        answer = self.get()
        if answer is not None:
            await answer

    def compute_etag(self) -> None:
        """No ETag: every answer is new."""

    def answer(self, document: object) -> None:
        """Answer with `document` as JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(document))


class EventsHandler(ProblemHandler):
    """`/events` for what is not a POST: those never come here.

    Some senders try an address before they use it, by HEAD, GET or OPTIONS.
    """

    says_nothing = True

    def allowed_methods(self) -> str:
        """POST is taken before Tornado sees it."""
        return "POST, GET, HEAD, OPTIONS"

    def get(self) -> None:
        self.set_header("Allow", self.allowed_methods())
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode({"send": "POST events here", "see": "/events/count"}))

    def head(self) -> None:
        """Like GET; Tornado leaves the body out."""
        self.get()

    def options(self) -> None:
        self.set_header("Allow", self.allowed_methods())
        self.set_status(HTTPStatus.NO_CONTENT)


def count_of(reading: Reading) -> dict[str, object]:
    """What both report about the window."""
    window = reading.window
    return {
        "count": window.total(reading.counts),
        "window_seconds": window.seconds,
        "from": isoformat(window.start),
        "to": isoformat(window.end),
    }


class CountHandler(Handler):
    """`GET /events/count`."""

    async def get(self) -> None:
        self.answer(count_of(await self.services.counter.read()))


class MinutesHandler(Handler):
    """`GET /events/minutes`."""

    async def get(self) -> None:
        reading = await self.services.counter.read()
        window = reading.window
        self.answer(
            {
                **count_of(reading),
                "events_per_second": round(window.events_per_second(reading.counts), 1),
                "minutes": [
                    {"from": isoformat(start), "to": isoformat(end), "count": count}
                    for start, end, count in window.slices(reading.counts)
                ],
            }
        )


class AllocationHandler(Handler):
    """`GET /allocation`: this one."""

    for_peers = True

    def get(self) -> None:
        self.answer(self.services.itself())


class AllocationsHandler(Handler):
    """`GET /allocations`: all of them."""

    async def get(self) -> None:
        allocations = self.services.allocations
        self.answer(Listing(None) if allocations is None else await allocations.read())


class MetricsHandler(Handler):
    """`GET /metrics`."""

    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self.services.registry))


class HealthHandler(Handler):
    """`GET /health`: the process is alive."""

    says_nothing = True

    def get(self) -> None:
        self.answer({"status": "alive"})


class ReadyHandler(Handler):
    """`GET /ready`: events can be taken now."""

    says_nothing = True

    async def get(self) -> None:
        if not self.services.ready:
            raise unavailable("starting or draining")
        if self.services.hangs():
            raise unavailable("a write to the store hangs")
        behind = self.services.clock.behind
        if behind > SKEW_SECONDS:
            raise unavailable(
                f"this machine's clock was set back: it is {behind:.0f} s behind the last event, "
                "and other receivers would not count what is received now; restart this one"
            )
        await self.services.store.health()
        self.answer({"status": "ready"})


class NotFoundHandler(ProblemHandler):
    """Every other path."""

    def prepare(self) -> None:
        raise HTTPError(HTTPStatus.NOT_FOUND)


class PageHandler(ProblemHandler, StaticFileHandler):
    """The live page's files."""

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - Tornado's signature
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Security-Policy", PAGE_POLICY)


def make_application(
    services: Services, event_paths: Iterable[str], hosts: Hosts, access: Access | None
) -> Application:
    """The routes, around `services`; a POST to one of `event_paths` never comes here."""
    given = {"services": services}
    return Application(
        [
            *((re.escape(path), EventsHandler) for path in event_paths),
            ("/events/count", CountHandler, given),
            ("/events/minutes", MinutesHandler, given),
            ("/allocation", AllocationHandler, given),
            ("/allocations", AllocationsHandler, given),
            ("/metrics", MetricsHandler, given),
            ("/health", HealthHandler, given),
            ("/ready", ReadyHandler, given),
            ("/()", PageHandler, {"path": PAGE, "default_filename": "index.html"}),
            # The page's own addresses are relative to "/"; below /page/ they would lead nowhere.
            (rf"/page/({'|'.join(map(re.escape, PAGE_FILES))})", PageHandler, {"path": PAGE}),
        ],
        default_handler_class=NotFoundHandler,
        log_function=lambda _handler: None,
        hosts=hosts,
        access=access,
    )
