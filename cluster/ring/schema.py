"""Applies `cassandra/schema.cql` and its settings; repeating that does no harm."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from artifacts.cassandra import CONFIGURATION

SHORTEST_RETENTION = 35 * 60  # the window of 30 minutes, and 5 more
LANES_OUTLIVE_SECONDS = 3600  # the rows of `lanes`, those of `events`
WRITTEN_KEYSPACE = "teracompra"  # as the file has it
DATA_CENTRE = "datacenter1"
TRUNCATE_SECONDS = 90.0
PROMISED_COPIES = 3  # with which any one of three nodes may die
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
Login = tuple[str, str]
"""User and password."""
UNANSWERED = os.EX_TEMPFAIL  # a script's exit code


class SchemaError(Exception):
    """It was not applied; the message says why."""


class UnansweredError(SchemaError):
    """The ring, or enough of its nodes, did not answer in time. They may the next time."""


@dataclass(frozen=True)
class Schema:
    """The schema's settings. None keeps the existing value, or takes the file's for a new keyspace.

    A replication factor that is there already is changed by one, and from 2 on only after a repair:
    otherwise a quorum of the new copies may be one that has never seen an event.
    """

    keyspace: str = WRITTEN_KEYSPACE
    replication: int | None = None
    retention: int | None = None
    """Seconds that events are kept."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.keyspace):
            raise SchemaError(
                f"keyspace {self.keyspace!r}: lower-case letters, digits and underscores, up to 48"
            )
        if self.replication is not None and self.replication < 1:
            raise SchemaError(f"replication {self.replication}: it must be 1 or more")
        if self.retention is not None and self.retention < SHORTEST_RETENTION:
            raise SchemaError(f"retention {self.retention}: {SHORTEST_RETENTION} s or more")

    def statements(self) -> list[str]:
        """Those of schema.cql, for this keyspace; each does nothing if it has been done."""
        text = (CONFIGURATION / "schema.cql").read_text()
        text = re.sub(r"--[^\n]*", "", text)
        text = re.sub(rf"\b{WRITTEN_KEYSPACE}\b", self.keyspace, text)
        if self.replication is not None:
            text = re.sub(rf"('{DATA_CENTRE}':) \d+", rf"\1 {self.replication}", text)
        return [statement.strip() for statement in text.split(";") if statement.strip()]


def apply_schema(session: Any, schema: Schema, *, repaired: bool = False) -> list[str]:
    """Make the ring's schema `schema`; what was done, in words. Raises SchemaError.

    `session` is the driver's; `repaired` says that `nodetool repair -full` has ended on each node
    since the replication factor was changed. Every node that is up has the new schema when this
    returns.
    """
    changes = replication_changes(
        session, schema, repaired=repaired
    )  # refused before anything is done
    before = _tables(session, schema.keyspace)
    for statement in schema.statements():
        _execute(session, statement)
    after = _tables(session, schema.keyspace)
    done = [f"created {schema.keyspace}.{table}" for table in sorted(after.keys() - before.keys())]
    for statement in (*changes, *_lifetime_changes(schema, before, after)):
        _execute(session, statement)
        done.append(statement)
    if changes:
        done.append(_after_change(schema, replication(session, schema.keyspace)[DATA_CENTRE]))
    return done


def replication(session: Any, keyspace: str) -> dict[str, str]:
    """The keyspace's replication: its class, and factors by data centre. Empty without keyspace."""
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    row = session.execute(query, [keyspace]).one()
    return {} if row is None else dict(row.replication)


def replication_changes(session: Any, schema: Schema, *, repaired: bool = False) -> list[str]:
    """The statement that brings an existing keyspace a step nearer to the factor that was asked."""
    found = replication(session, schema.keyspace)
    if not found or schema.replication is None:
        return []
    if not found.get(DATA_CENTRE, "").isdecimal():
        raise SchemaError(
            f"keyspace {schema.keyspace} has the replication {found}, with no number for "
            f"{DATA_CENTRE}; change it with ALTER KEYSPACE, by one at a time"
        )
    now, wanted = int(found[DATA_CENTRE]), schema.replication
    if now == wanted:
        return []
    if now > 1 and not repaired:
        raise SchemaError(
            f"replication {wanted}: it is {now}, and changing it before every copy is whole loses "
            f"events from sight. On each node, one after the other, run "
            f"`scripts/cassandra nodetool repair -full {schema.keyspace}`; then this again with "
            "--repaired"
        )
    found[DATA_CENTRE] = str(now + 1 if wanted > now else now - 1)
    return [f"ALTER KEYSPACE {schema.keyspace} WITH replication = {found}"]


def _after_change(schema: Schema, factor: str) -> str:
    more = (
        f"; then this again with --repaired, as {schema.replication} was asked for"
        if int(factor) != schema.replication
        else ""
    )
    return (
        f"the replication factor is {factor}. Now, on each node, one after the other: "
        f"scripts/cassandra nodetool repair -full {schema.keyspace}{more}"
    )


def _lifetime_changes(
    schema: Schema, before: Mapping[str, int], after: Mapping[str, int]
) -> Iterator[str]:
    """The statements that have rows live as long as asked, or as long as those that were there."""
    retention = schema.retention or before.get("events", after["events"])
    wanted = {"events": retention, "lanes": retention + LANES_OUTLIVE_SECONDS}
    for table, lifetime in wanted.items():
        if table in before and schema.retention is None:
            continue
        if after[table] != lifetime:
            yield f"ALTER TABLE {schema.keyspace}.{table} WITH default_time_to_live = {lifetime}"


def _tables(session: Any, keyspace: str) -> dict[str, int]:
    """The tables of the keyspace and how long their rows live."""
    query = "SELECT table_name, default_time_to_live FROM system_schema.tables"
    rows = session.execute(f"{query} WHERE keyspace_name = %s", [keyspace])
    return {row.table_name: row.default_time_to_live for row in rows}


def _execute(session: Any, statement: str) -> None:
    future = session.execute_async(statement)
    future.result()
    if not future.is_schema_agreed:
        raise UnansweredError(f"the nodes do not agree on the schema after: {statement}")


def apply_at(
    hosts: Sequence[str], schema: Schema, *, repaired: bool = False, login: Login | None = None
) -> str:
    """Apply the schema to the ring at `hosts`; what was done. Raises SchemaError.

    `login` is who may do so, if the ring asks. A new keyspace has the factor 3 unless `schema` says
    another, or the number of nodes where all of `hosts` are there and they are fewer.
    """
    with session_at(hosts, login) as session:
        nodes = len(session.cluster.metadata.all_hosts())
        if not replication(session, schema.keyspace):
            schema = replace(schema, replication=_first_factor(schema, nodes, len(set(hosts))))
        if schema.replication is not None and schema.replication > nodes:
            there = "there is 1 node" if nodes == 1 else f"there are {nodes} nodes"
            raise SchemaError(f"replication {schema.replication}: {there}")
        done = apply_schema(session, schema, repaired=repaired)
        done = done or ["nothing to do: the schema is up to date"]
        return "\n".join([*done, *_too_few(replication(session, schema.keyspace), nodes)])


def empty_at(hosts: Sequence[str], keyspace: str, login: Login | None = None) -> str:
    """Delete every event; what was done. Raises SchemaError. Every node must be up.

    Receivers may run: they notice within seconds, and list what they wrote meanwhile.
    """
    schema = Schema(keyspace)
    with session_at(hosts, login) as session:
        for table in ("events", "lanes"):  # what is listed last is listed again: see Lane.recount
            session.execute(f"TRUNCATE {schema.keyspace}.{table}", timeout=TRUNCATE_SECONDS)
    return (
        f"{keyspace} is empty. Each node has kept a snapshot, which takes its room on the disk "
        "until `scripts/cassandra nodetool clearsnapshot --all`"
    )


def reread_at(hosts: Sequence[str], keyspace: str, login: Login | None = None) -> str:
    """Have receivers forget what they remember of the store. Raises SchemaError."""
    schema = Schema(keyspace)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with session_at(hosts, login) as session:
        _execute(session, f"ALTER TABLE {schema.keyspace}.lanes WITH comment = 'read anew {now}'")
    return "receivers read everything again within seconds"


@contextmanager
def session_at(
    hosts: Sequence[str], login: Login | None = None, *, alone: bool = False
) -> Iterator[Any]:
    """A session with the ring at `hosts`. Raises SchemaError for whatever goes wrong in it.

    Any node of the ring may be asked then; `alone`, just those, and no other is connected to.
    """
    from cassandra import OperationTimedOut, Timeout, Unavailable
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import (
        EXEC_PROFILE_DEFAULT,
        Cluster,
        DriverException,
        ExecutionProfile,
        NoHostAvailable,
    )
    from cassandra.policies import RoundRobinPolicy, WhiteListRoundRobinPolicy

    policy = WhiteListRoundRobinPolicy(hosts) if alone else RoundRobinPolicy()
    try:
        cluster = Cluster(
            hosts,
            execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(policy)},
            auth_provider=PlainTextAuthProvider(*login) if login else None,
            protocol_version=5,
            connect_timeout=10,
            control_connection_timeout=10,
        )
    except (DriverException, UnicodeError) as error:
        raise UnansweredError(f"no address found for {', '.join(hosts)} ({error})") from error
    try:
        yield cluster.connect()
    except NoHostAvailable as error:
        reasons = ", ".join(f"{host}: {reason}" for host, reason in error.errors.items())
        raise UnansweredError(f"no node answers ({reasons})") from error
    except (OperationTimedOut, Timeout, Unavailable) as error:
        raise UnansweredError(f"no answer in time ({error})") from error
    except DriverException as error:
        raise SchemaError(str(error)) from error
    finally:
        cluster.shutdown()


def _first_factor(schema: Schema, nodes: int, hosts: int) -> int:
    """Of a new keyspace. Raises SchemaError if nodes that were named are not in the ring yet."""
    if schema.replication is not None:
        return schema.replication
    if nodes < min(PROMISED_COPIES, hosts):
        raise SchemaError(
            f"{nodes} of the {hosts} nodes named are in the ring: events would stay on {nodes} "
            "alone. Start the others first, or name only those that there will be with --hosts, or "
            f"say --replication {nodes}"
        )
    return min(PROMISED_COPIES, nodes)


def _too_few(found: Mapping[str, str], nodes: int) -> list[str]:
    """A warning if one dead node can take events with it although there are enough nodes."""
    copies = sum(int(factor) for factor in found.values() if factor.isdecimal())
    if copies >= min(PROMISED_COPIES, nodes):
        return []
    warning = f"warning: each event is on {copies} of {nodes} nodes, so not any one of them may die"
    return [f"{warning}; --replication {copies + 1} changes that, one step at a time"]
