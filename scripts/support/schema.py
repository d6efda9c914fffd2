"""Applies `cassandra/schema.cql`, again and again without harm, and its three settings."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from support.cassandra import CONFIGURATION

SHORTEST_RETENTION = 35 * 60  # the window of 30 minutes, and 5 more
LANES_OUTLIVE_SECONDS = 3600  # the rows of `lanes`, those of `events`
WRITTEN_KEYSPACE = "teracompra"  # as the file has it
DATA_CENTRE = "datacenter1"
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
UNANSWERED = os.EX_TEMPFAIL  # a script's exit code


class SchemaError(Exception):
    """It was not applied; the message says why."""


class UnansweredError(SchemaError):
    """The ring did not answer in time. It may do so the next time."""


@dataclass(frozen=True)
class Schema:
    """What the schema may differ in."""

    keyspace: str = WRITTEN_KEYSPACE
    replication: int = 3
    retention: int = 7 * 24 * 3600
    """Seconds that events are kept."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.keyspace):
            raise SchemaError(
                f"keyspace {self.keyspace!r}: lower-case letters, digits and underscores, up to 48"
            )
        if self.replication < 1:
            raise SchemaError(f"replication {self.replication}: it must be 1 or more")
        if self.retention < SHORTEST_RETENTION:
            raise SchemaError(f"retention {self.retention}: {SHORTEST_RETENTION} s or more")

    def statements(self) -> list[str]:
        """Those of schema.cql, for this keyspace; each does nothing where it has been done."""
        text = (CONFIGURATION / "schema.cql").read_text()
        text = re.sub(r"--[^\n]*", "", text)
        text = re.sub(rf"\b{WRITTEN_KEYSPACE}\b", self.keyspace, text)
        return [statement.strip() for statement in text.split(";") if statement.strip()]

    def lifetimes(self) -> dict[str, int]:
        """Seconds that each table's rows live."""
        return {"events": self.retention, "lanes": self.retention + LANES_OUTLIVE_SECONDS}


def apply_schema(session: Any, schema: Schema) -> list[str]:
    """Make the ring's schema `schema`; what was done, in words. Raises SchemaError.

    `session` is the driver's. Every node that is up has the new schema when this returns.
    """
    done = []
    before = set(_tables(session, schema.keyspace))
    for statement in schema.statements():
        _execute(session, statement)
    after = set(_tables(session, schema.keyspace))
    done += [f"created {schema.keyspace}.{table}" for table in sorted(after - before)]
    for statement in _differences(session, schema):
        _execute(session, statement)
        done.append(statement)
    return done


def _differences(session: Any, schema: Schema) -> Iterator[str]:
    """The statements that are still needed."""
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    found = dict(session.execute(query, [schema.keyspace]).one().replication)
    if found.get(DATA_CENTRE) != str(schema.replication):
        replication = {"class": "NetworkTopologyStrategy", DATA_CENTRE: schema.replication}
        yield f"ALTER KEYSPACE {schema.keyspace} WITH replication = {replication}"
    for table, lifetime in _tables(session, schema.keyspace).items():
        wanted = schema.lifetimes().get(table, lifetime)
        if lifetime != wanted:
            yield f"ALTER TABLE {schema.keyspace}.{table} WITH default_time_to_live = {wanted}"


def _tables(session: Any, keyspace: str) -> dict[str, int]:
    """The tables of the keyspace and how long their rows live."""
    query = "SELECT table_name, default_time_to_live FROM system_schema.tables"
    rows = session.execute(f"{query} WHERE keyspace_name = %s", [keyspace])
    return {row.table_name: row.default_time_to_live for row in rows}


def _execute(session: Any, statement: str) -> None:
    future = session.execute_async(statement)
    future.result()
    if not future.is_schema_agreed:
        raise SchemaError(f"the nodes do not agree on the schema after: {statement}")


def apply_at(hosts: Sequence[str], keyspace: str, replication: int | None, retention: int) -> str:
    """Apply the schema to the ring at `hosts`; what was done. Raises SchemaError.

    `replication` is 3 unless given, or the number of nodes where there are fewer.
    """
    from cassandra import OperationTimedOut
    from cassandra.cluster import Cluster, DriverException, NoHostAvailable
    from cassandra.policies import RoundRobinPolicy

    cluster = Cluster(
        hosts,
        load_balancing_policy=RoundRobinPolicy(),
        protocol_version=5,
        connect_timeout=10,
        control_connection_timeout=10,
    )
    try:
        session = cluster.connect()
        nodes = len(cluster.metadata.all_hosts())
        schema = Schema(keyspace, replication or min(3, nodes), retention)
        if schema.replication > nodes:
            there = "there is 1 node" if nodes == 1 else f"there are {nodes} nodes"
            raise SchemaError(f"replication {schema.replication}: {there}")
        return "\n".join(apply_schema(session, schema)) or "nothing to do: it is as it should be"
    except NoHostAvailable as error:
        reasons = ", ".join(f"{host}: {reason}" for host, reason in error.errors.items())
        raise UnansweredError(f"no node answers ({reasons})") from error
    except OperationTimedOut as error:
        raise UnansweredError(f"no answer in time ({error})") from error
    except DriverException as error:
        raise SchemaError(str(error)) from error
    finally:
        cluster.shutdown()
