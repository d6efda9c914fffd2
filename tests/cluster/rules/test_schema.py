"""What the schema and the receiver must agree on, though neither imports the other."""

import pytest

from cluster.ring.schema import LANES_OUTLIVE_SECONDS, SHORTEST_RETENTION
from webhook.settings import Settings, SettingsError
from webhook.store.cassandra import lane


def test_lanes_outlive_events_by_as_much() -> None:
    assert lane.LANES_OUTLIVE_SECONDS == LANES_OUTLIVE_SECONDS


def test_the_shortest_retention_is_the_same() -> None:
    name = "WEBHOOK_RETENTION_SECONDS"
    assert Settings.from_env({name: str(SHORTEST_RETENTION)})
    with pytest.raises(SettingsError):
        Settings.from_env({name: str(SHORTEST_RETENTION - 1)})
