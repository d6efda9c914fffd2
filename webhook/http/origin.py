"""Which names this receiver answers to, and what a browser may send here for whom.

A browser runs what any web page tells it to, and says so: it names the page's origin in `Origin`,
or how near that is in `Sec-Fetch-Site`. So a POST that has neither is from no browser, and is not
looked at any further. This is the rule of Go's `http.CrossOriginProtection`.

That rule compares `Origin` with `Host`, and a page can choose `Host`: its owner lets a name of his
own lead to this machine (DNS rebinding). So what browsers may read or write here has to be asked
for by a name that no stranger can own.
"""

import ipaddress
from collections.abc import Iterable
from http import HTTPStatus

from webhook.problem import Problem

ANY = "*"
_NOBODYS = (".localhost", ".consul")  # no registry sells names that end so


class Hosts:
    """The names by which browsers may ask: addresses, names without a dot, and those given.

    A given name that begins with `*.` stands for all names below; `*` alone for all names.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        given = [_bare(name) for name in names]
        self._any = ANY in given
        self._names = frozenset(given)
        self._ends = (*_NOBODYS, *(name[1:] for name in given if name.startswith("*.")))

    def allow(self, host: str) -> bool:
        """Whether `host`, as a Host header has it, is one of them."""
        name = _bare(_without_port(host))
        return (
            self._any
            or not ("." in name or ":" in name)
            or name in self._names
            or name.endswith(self._ends)
            or _is_address(name)
        )


NO_HOSTS = Hosts()


def check_origin(host: str, origin: str | None, site: str | None, hosts: Hosts) -> None:
    """Refuse a POST that a browser sends for a page of another origin. Raises Problem.

    `origin` and `site` are the headers Origin and Sec-Fetch-Site; None where there is none.
    """
    if site is not None:
        same = site.lower() in ("same-origin", "none")
    else:
        same = origin is None or origin.lower().partition("://")[2] == host.lower()
    if not same:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "a web page of another origin sent this; events come from programs, which send "
            "neither Origin nor Sec-Fetch-Site",
        )
    if not hosts.allow(host):
        raise Problem(HTTPStatus.FORBIDDEN, _not_ours(host))


def check_host(host: str, hosts: Hosts) -> None:
    """Refuse what is asked for by a name that is not ours. Raises Problem."""
    if not hosts.allow(host):
        raise Problem(HTTPStatus.MISDIRECTED_REQUEST, _not_ours(host))


def _not_ours(host: str) -> str:
    name = _bare(_without_port(host))
    return (
        f"this receiver does not answer browsers by the name {name!r}; "
        f"if it is right, name it in WEBHOOK_HOSTS"
    )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _bare(name: str) -> str:
    """In lower case, without the dot with which a whole name may end."""
    return name.strip().lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
