"""Where events go: URLs, and the addresses they stand for."""

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PATH = "/events"


class TargetError(ValueError):
    """A URL that cannot be a target; the message says why, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Target:
    """One webhook, as its URL names it."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in full, with the path that is used."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """A target with the address its host resolved to, and the TLS context if it needs one."""

    target: Target
    family: socket.AddressFamily
    address: tuple[object, ...]
    tls: ssl.SSLContext | None


def parse_target(text: str) -> Target:
    """The target that a URL names; an empty path, or `/`, means `/events`.

    Raises TargetError.
    """
    allowed = "allowed is http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"{text!r} is not a URL ({error}); {allowed}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"{text!r} is not the URL of a webhook; {allowed}")
    if parts.username is not None or parts.fragment:
        raise TargetError(f"{text!r} has a user or a fragment, which do not apply; {allowed}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise TargetError(f"{text!r} has characters to be percent-encoded; {allowed}")
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:  # which looking it up raises, too, before it asks anybody
        raise TargetError(f"{text!r}: no host can have the name {parts.hostname!r}") from error
    if port == 0:
        raise TargetError(f"{text!r} has port 0; allowed is 1 to 65535")
    tls = parts.scheme == "https"
    path = DEFAULT_PATH if parts.path in ("", "/") else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.hostname, port or (443 if tls else 80), path + query, tls)


def resolve(target: Target) -> Endpoint:
    """Look the host up, once; of several addresses the first is used, IPv4 before IPv6.

    Raises TargetError if the host has no address.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = error.strerror or error
        raise TargetError(f"{target.url}: cannot resolve {target.host!r}: {reason}") from error
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    context = ssl.create_default_context() if target.tls else None
    return Endpoint(target, family, address, context)
