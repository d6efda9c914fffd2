"""The receiver's settings, from environment variables `WEBHOOK_...`, validated once at start."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

PREFIX = "WEBHOOK_"
RETENTION_MARGIN_SECONDS = 300
LONGEST_WINDOW_SECONDS = 24 * 3600  # a count reads a small cell for each second of it
LONGEST_RETENTION_SECONDS = 10 * 365 * 24 * 3600  # within what Cassandra can expire
LONGEST_ANSWER_SECONDS = 30.0  # within the time in which a minute's events must be written
MOST = 1 << 40
_NAME = re.compile(r"[\w.-]+", re.ASCII)
_PATH = re.compile(r"(/[\w.~%-]+)+", re.ASCII)
TAKEN_PATHS = frozenset(
    {
        "/allocation",
        "/allocations",
        "/events/count",
        "/events/minutes",
        "/health",
        "/metrics",
        "/page",
        "/ready",
    }
)
"""The routes of `webhook.app` that are no events' path."""
_HOST = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_OF_A_SERVICE = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://\S+")
_PRINTABLE = re.compile(r"[!-~]*")


class SettingsError(Exception):
    """A setting has a bad value; the message names it, its value and what is allowed."""


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; the field `idle_seconds` is `WEBHOOK_IDLE_SECONDS`.

    `python -m webhook --help` lists them.
    """

    address: str = _setting(
        "127.0.0.1:8080", "host:port to listen on; port 0 lets the kernel pick one."
    )
    paths: str = _setting(
        "/events,/webhook",
        "Paths that accept POSTs of events, separated by commas, each also with a trailing slash.",
    )
    store: str = _setting(
        "sqlite:///events.db",
        "Where events are stored: sqlite:///relative/path, sqlite:////absolute/path, or "
        "cassandra://host1,host2,host3/keyspace (docs/cassandra.md).",
    )
    hosts: str = _setting(
        "",
        "Host names that browsers may use, separated by commas, such as events.example.com or "
        "*.example.com; * allows any. Addresses, names without a dot and the machine's own name "
        "are always allowed.",
    )
    keys: str = _setting(
        "",
        "File with the keys of senders and readers (docs/security.md); if empty, everybody may "
        "send and read.",
    )
    tolerance_seconds: float = _setting(
        300.0, "How far the time of a signed POST may differ from this machine's."
    )
    replay_ids: int = _setting(
        200_000, "How many ids of signed POSTs are remembered, so that none is stored again."
    )
    tls_cert: str = _setting(
        "", "PEM file with the certificate and its chain, for HTTPS; if empty, plain HTTP."
    )
    tls_key: str = _setting(
        "", "PEM file with the certificate's key, which other users may not read."
    )
    window_seconds: int = _setting(1800, "How far back the count goes.")
    retention_seconds: int = _setting(
        7 * 24 * 3600, "How long events are kept; at least the window + 300."
    )
    max_events_per_second: int = _setting(
        0, "Admission limit of this process in events/s; 0 means none."
    )
    max_connections: int = _setting(
        0, "Largest number of open connections; 0 means as many as the open-files limit allows."
    )
    max_body_bytes: int = _setting(1 << 20, "Largest body of a request.")
    max_header_bytes: int = _setting(16 << 10, "Largest request line plus headers.")
    max_array_events: int = _setting(1000, "Longest array in one POST.")
    max_held_events: int = _setting(
        50_000, "Most events that wait for their write or are being written; beyond it 503."
    )
    max_held_bytes: int = _setting(128 << 20, "The same in bytes.")
    request_seconds: float = _setting(10.0, "Time a client has to send a request.")
    idle_seconds: float = _setting(75.0, "How long a kept-alive connection may be idle.")
    connection_age_seconds: float = _setting(
        60.0, "Age at which a kept-alive connection is closed after its answer."
    )
    answer_seconds: float = _setting(10.0, "Time to store an event; after it the answer is 503.")
    drain_seconds: float = _setting(
        10.0,
        "Longest time after SIGTERM to wait for clients; then the store is closed.",
    )
    consul: str = _setting(
        "",
        "Consul's agent, such as http://127.0.0.1:8500. With it the live page shows all "
        "allocations; empty means none.",
    )
    consul_token: str = _setting(
        "", "ACL token for Consul; if empty, CONSUL_HTTP_TOKEN is used, or none."
    )
    service: str = _setting("webhook", "The service in Consul whose instances are the allocations.")
    autoscaler: str = _setting(
        "",
        "The service in Consul that says at GET /view how many allocations there should be, for "
        "the live page; empty means none.",
    )
    peers: str = _setting(
        "",
        "Instead of Consul: a name with the address of each allocation, and the port, such as "
        "webhook-pods:8080 (docs/kubernetes.md).",
    )
    allocation: str = _setting(
        "", "This process's name among them; if empty, the machine's name and the port."
    )
    node: str = _setting("", "The machine as the live page is to name it; if empty, its own name.")

    @property
    def event_paths(self) -> tuple[str, ...]:
        """Each path, as it is and with a slash at its end."""
        bare = [path.strip().rstrip("/") for path in self.paths.split(",")]
        return tuple(path for one in bare for path in (one, f"{one}/"))

    @property
    def host_names(self) -> tuple[str, ...]:
        """Each of `hosts`, and the one that is listened on."""
        given = (name.strip() for name in self.hosts.split(","))
        return (*(name for name in given if name), self.host)

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or self.host == "::1" or self.host.startswith("127.")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def consul_address(self) -> tuple[str, int]:
        """Host and port of Consul's agent, if there is one."""
        parts = urlsplit(self.consul)
        return parts.hostname or "", parts.port or 0

    @property
    def peers_address(self) -> tuple[str, int]:
        """Host and port of `peers`, if it is set."""
        host, _, port = self.peers.rpartition(":")
        return host.strip("[]"), int(port)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Settings from `environ`. Raises SettingsError."""
        values: dict[str, Any] = {}
        for name, kind in _kinds().items():
            variable = PREFIX + name.upper()
            if variable in environ:
                values[name] = _convert(variable, environ[variable], kind)
        settings = cls(**values)
        settings._validate()
        return settings

    def _validate(self) -> None:
        self._validate_names()
        self._validate_catalog()
        self._validate_numbers()

    def _validate_names(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535 or not _is_name(host):
            raise _bad("ADDRESS", self.address, "host:port, such as 0.0.0.0:8080")
        for path in self.event_paths[::2]:
            if not _PATH.fullmatch(path) or path in TAKEN_PATHS or path.startswith("/page/"):
                raise _bad(
                    "PATHS", self.paths, "paths such as /events,/calls that are not in use yet"
                )
        for name in self.host_names[:-1]:
            if not _HOST.fullmatch(name):
                raise _bad("HOSTS", self.hosts, "names such as events.example.com, without a port")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError(
                f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY belong together: set both, or none"
            )

    def _validate_catalog(self) -> None:
        """Who knows which allocations are alive."""
        if self.consul and not _is_http_address(self.consul):
            raise _bad("CONSUL", self.consul, "http://host:port, such as http://127.0.0.1:8500")
        host, _, port = self.peers.rpartition(":")
        if self.peers and not (host and _is_name(host) and port.isdecimal() and int(port) < 65536):
            raise _bad("PEERS", self.peers, "name:port, such as webhook-pods:8080")
        if self.peers and self.consul:
            raise SettingsError(f"{PREFIX}PEERS and {PREFIX}CONSUL exclude each other: set one")
        if not _PRINTABLE.fullmatch(self.consul_token):
            raise SettingsError(
                f"{PREFIX}CONSUL_TOKEN is not allowed: it must be ASCII without spaces"
            )
        if not _NAME.fullmatch(self.service):
            raise _bad("SERVICE", self.service, "letters, digits, dots, dashes and underscores")
        if self.autoscaler and not _NAME.fullmatch(self.autoscaler):
            raise _bad("AUTOSCALER", self.autoscaler, "a service's name, such as autoscaler-gate")

    def _validate_numbers(self) -> None:
        for name, kind in _kinds().items():
            value = getattr(self, name)
            if kind is not str and value < 0:
                raise _bad(name, value, "0 or more" if name in _MAY_BE_ZERO else "more than 0")
            if kind is not str and value == 0 and name not in _MAY_BE_ZERO:
                raise _bad(name, value, "more than 0")
            if kind is not str and value > MOST:
                raise _bad(name, value, f"at most {MOST}")
        for name, most in (
            ("window_seconds", LONGEST_WINDOW_SECONDS),
            ("retention_seconds", LONGEST_RETENTION_SECONDS),
            ("answer_seconds", LONGEST_ANSWER_SECONDS),
        ):
            value = getattr(self, name)
            if value > most:
                raise _bad(name, value, f"at most {most:g}")
        least = self.window_seconds + RETENTION_MARGIN_SECONDS
        if self.retention_seconds < least:
            raise _bad(
                "RETENTION_SECONDS",
                self.retention_seconds,
                f"at least {least} (the window of {self.window_seconds} s + 5 min)",
            )
        if self.max_held_events < self.max_array_events:
            raise _bad(
                "MAX_HELD_EVENTS",
                self.max_held_events,
                f"at least WEBHOOK_MAX_ARRAY_EVENTS={self.max_array_events}",
            )
        if self.max_held_bytes < self.max_body_bytes:
            raise _bad(
                "MAX_HELD_BYTES",
                self.max_held_bytes,
                f"at least WEBHOOK_MAX_BODY_BYTES={self.max_body_bytes}",
            )


def settings_help() -> str:
    """Every setting with its default and meaning, a line or two each."""
    return "\n".join(
        f"  {PREFIX}{setting.name.upper()}={setting.default}\n      {setting.metadata['meaning']}"
        for setting in fields(Settings)
    )


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables with our prefix that are not settings, each with the setting it resembles.

    They deserve a warning, not a refusal. Those that an orchestrator adds for a service whose name
    begins with webhook deserve none.
    """
    known = [PREFIX + name.upper() for name in _kinds()]
    unknown = [
        name
        for name, value in environ.items()
        if name.startswith(PREFIX) and name not in known and not _is_injected(name, value)
    ]
    return {name: next(iter(difflib.get_close_matches(name, known, 1)), None) for name in unknown}


def _is_injected(name: str, value: str) -> bool:
    """Whether Kubernetes, or Docker for a link, made it: `WEBHOOK_PORT=tcp://10.0.0.7:8080`."""
    if _OF_A_SERVICE.fullmatch(name):
        return True
    return name.endswith("_PORT") and bool(_PORT_OF_A_SERVICE.fullmatch(value))


def _is_http_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    bare = parts.username is None and not (parts.path.strip("/") or parts.query or parts.fragment)
    return parts.scheme == "http" and bool(host and port and _is_name(host)) and bare


def _is_name(host: str) -> bool:
    """Whether a host can be looked up: Python refuses some names before it asks anybody."""
    try:
        host.strip("[]").encode("idna")
    except UnicodeError:
        return False
    return True


_MAY_BE_ZERO = frozenset({"max_events_per_second", "max_connections"})


def _kinds() -> dict[str, Callable[[str], Any]]:
    """Each setting's name and type."""
    return {setting.name: setting.type for setting in fields(Settings)}  # type: ignore[misc]


def _convert(variable: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        value = kind(text)
    except ValueError:
        allowed = "a whole number" if kind is int else "a number"
        raise _bad(variable.removeprefix(PREFIX), text, allowed) from None
    if value != value or value in (float("inf"), float("-inf")):
        raise _bad(variable.removeprefix(PREFIX), text, "a finite number")
    return value


def _bad(name: str, value: object, allowed: str) -> SettingsError:
    return SettingsError(f"{PREFIX}{name.upper()}={value} is not allowed: it must be {allowed}")
