"""The list of allocations by a name that has the address of each."""

import socket
from contextlib import ExitStack
from pathlib import Path

from harness.waiting import wait_for
from tests.support.checked_receiver import Receiver
from tests.support.hosts_file import HostsFile

ADDRESSES = ("127.0.0.2", "127.0.0.3")


def free_port() -> int:
    """A port that nobody has at these addresses."""
    with socket.socket() as one:
        one.bind((ADDRESSES[0], 0))
        return int(one.getsockname()[1])


def rows(receiver: Receiver) -> list[tuple[str, str, bool]] | None:
    found = receiver.get("/allocations").json["allocations"]
    return None if found is None else [(one["id"], one["node"], one["this"]) for one in found]


def test_each_lists_all_that_the_name_has_as_these_call_themselves(tmp_path: Path) -> None:
    port, hosts = free_port(), HostsFile(tmp_path / "hosts")
    with ExitStack() as stack:
        a, b = (
            stack.enter_context(
                Receiver(
                    tmp_path / f"{name}.db",
                    command=hosts.command,
                    address=f"{address}:{port}",
                    allocation=name,
                    node=f"machine-{name}",
                    peers=f"receivers:{port}",
                )
            )
            for name, address in zip("ab", ADDRESSES, strict=True)
        )
        assert rows(a) is None  # nobody knows the name yet
        names = "".join(f"{address} receivers\n" for address in ADDRESSES)
        (tmp_path / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        both = [("a", "machine-a"), ("b", "machine-b")]
        for receiver, own in ((a, "a"), (b, "b")):
            wanted = [(id_, node, id_ == own) for id_, node in both]
            wait_for(lambda r=receiver, w=wanted: rows(r) == w, "the list of both")  # type: ignore[misc]
        assert a.log.count("no list of allocations until the name receivers says") == 1
        assert a.log.count("the name receivers lists the live allocations again") == 1
