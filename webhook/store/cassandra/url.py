"""From `cassandra://...` to settings."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from webhook.store.contract import StartError

PORT = 9042
CONSISTENCIES = ("QUORUM", "LOCAL_QUORUM", "ALL")
MOST_LANES = 16


@dataclass(frozen=True, slots=True)
class RingSettings:
    """Where the ring is and how to write to it.

    Consistency is at least a quorum, for writes and for reads: what was acknowledged is then seen
    by every read, and survives any one of three nodes.
    """

    hosts: tuple[str, ...]
    keyspace: str
    port: int = PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    consistency: str = "QUORUM"
    lanes: int = 2
    login: str | None = None
    """Path of a file with user and password, in their place (`login`)."""
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @classmethod
    def from_url(cls, url: str) -> "RingSettings":
        """`cassandra://[user:password@]host,host[:port]/keyspace[?option=value&...]`.

        Options: consistency (QUORUM, LOCAL_QUORUM, ALL), lanes (1 to 16), login (path of a file
        with `USER PASSWORD`), tls_ca, tls_cert, tls_key (paths of PEM files; tls_ca turns TLS on).
        Raises StartError, which never shows a password.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:  # brackets that hold no address
            raise _bad(str(error)) from None
        credentials, _, places = parts.netloc.rpartition("@")
        places, _, port = places.partition(":")
        hosts = tuple(host for host in places.split(",") if host)
        keyspace = parts.path.strip("/")
        if not hosts or not keyspace.isidentifier() or (port and not port.isdecimal()):
            raise _bad("it must be cassandra://host1,host2,host3/keyspace")
        for host in hosts:
            try:
                host.encode("idna")  # as looking it up begins, where this would be no OSError
            except UnicodeError:
                raise _bad(f"{host} is neither a host name nor an address") from None
        user, _, password = credentials.partition(":")
        options = _options(dict(parse_qsl(parts.query, keep_blank_values=True)))
        if user and "login" in options:
            raise _bad("it has a user and a login: one of them is enough")
        return cls(
            hosts,
            keyspace,
            int(port) if port else PORT,
            unquote(user) or None,
            unquote(password) or None,
            **options,
        )

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, None without TLS. Raises StartError for files that can't be used."""
        if self.tls_ca is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert is not None:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise _bad(f"its TLS files can't be used: {error}") from None
        return context


def _options(given: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name == "consistency" and value.upper() in CONSISTENCIES:
            options[name] = value.upper()
        elif name == "lanes" and value.isdecimal() and 1 <= int(value) <= MOST_LANES:
            options[name] = int(value)
        elif name in {"login", "tls_ca", "tls_cert", "tls_key"} and value:
            options[name] = value
        else:
            raise _bad(
                f"{name}={value}: allowed are consistency={'|'.join(CONSISTENCIES)}, "
                f"lanes=1..{MOST_LANES}, login=, tls_ca=, tls_cert=, tls_key=PATH"
            )
    if "tls_ca" not in options and {"tls_cert", "tls_key"} & options.keys():
        raise _bad("tls_cert and tls_key need tls_ca")
    return options


def _bad(what: str) -> StartError:
    return StartError(f"WEBHOOK_STORE is not a usable cassandra:// URL: {what}")
