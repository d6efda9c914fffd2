"""What browsers may send and read, and that others are not asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.http.origin import Hosts, check_host, check_origin
from webhook.problem import Problem

OURS = ["127.0.0.1", "[::1]", "192.168.56.11", "localhost", "node-1", "webhook.service.consul"]
PORTS = st.sampled_from(["", ":80", ":8080", ":9999"])
STRANGERS = [
    "evil.example",
    "evil.example.",
    "127.0.0.1.evil.example",
    "consul.evil",
    "a.b.consuls",
]
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=2, max_size=4).map(".".join)


def refused(host: str, origin: str | None, site: str | None, hosts: Hosts) -> int:
    """The status with which it is; 0 for what is taken."""
    try:
        check_origin(host, origin, site, hosts)
    except Problem as problem:
        return problem.status
    return 0


@given(NAMES | st.sampled_from(OURS), PORTS, st.sampled_from(["http", "https"]))
def test_a_page_of_this_receiver_may_send_by_our_names_alone(
    name: str, port: str, scheme: str
) -> None:
    host, hosts = name + port, Hosts(["events.example.com"])
    taken = hosts.allow(host)
    assert (refused(host, f"{scheme}://{host}", None, hosts) == 0) == taken
    assert (refused(host, None, "same-origin", hosts) == 0) == taken
    assert Hosts([name.strip("[]")]).allow(host)
    assert Hosts(["*"]).allow(host)


@given(st.sampled_from(OURS), PORTS, NAMES, st.sampled_from(["http://", "https://"]))
def test_a_page_of_another_origin_may_not(ours: str, port: str, other: str, scheme: str) -> None:
    for origin in (scheme + other, scheme + ours + port + "1", "null", "", f"{ours}{port}"):
        assert refused(ours + port, origin, None, Hosts()) == 403
    for site in ("cross-site", "same-site", "", "Cross-Site"):
        assert refused(ours + port, f"{scheme}{ours}{port}", site, Hosts(["*"])) == 403


def test_what_a_user_types_is_nobodys_page() -> None:
    assert refused("localhost:8080", None, "none", Hosts()) == 0


def test_the_kind_of_letters_makes_no_difference() -> None:
    assert refused("Node-1:9999", "HTTP://node-1:9999", None, Hosts()) == 0


@pytest.mark.parametrize("host", OURS)
def test_addresses_and_names_that_nobody_sells_are_ours(host: str) -> None:
    for port in ("", ":8080"):
        check_host(host + port, Hosts())


@pytest.mark.parametrize("host", STRANGERS)
def test_other_names_are_not_unless_they_are_given(host: str) -> None:
    for port in ("", ":8080"):
        with pytest.raises(Problem) as caught:
            check_host(host + port, Hosts(["events.example.com"]))
        assert caught.value.status == 421
        assert "WEBHOOK_HOSTS" in caught.value.detail
        check_host(host.upper() + port, Hosts([host.removesuffix(".")]))


def test_a_star_is_for_all_names_below() -> None:
    hosts = Hosts(["*.example.com"])
    assert hosts.allow("a.example.com:80")
    assert hosts.allow("a.b.example.com")
    assert not hosts.allow("example.com")
    assert not hosts.allow("anexample.com")


@given(st.text(max_size=30))
def test_whatever_a_host_header_holds_is_answered(host: str) -> None:
    assert isinstance(Hosts().allow(host), bool)
