"""What a running node says of its own settings."""

from pathlib import Path

from harness.ring import Ring
from tools.root import ROOT

WRITES = 500


def test_the_node_runs_with_the_repository_s_file(lone_node: Ring) -> None:
    words = Path(f"/proc/{lone_node.pid(1)}/cmdline").read_text().split("\0")
    assert f"-Dcassandra.config=file://{ROOT}/cassandra/cassandra.yaml" in words
    assert f"@{ROOT}/cassandra/jvm.options" in words


def test_settings_that_durability_rests_on(lone_node: Ring) -> None:
    with lone_node.session() as session:
        rows = session.execute("SELECT name, value FROM system_views.settings")
        settings = {row.name: row.value for row in rows}
    assert settings["commitlog_sync"] == "batch"
    assert settings["commit_failure_policy"] == settings["disk_failure_policy"] == "die"
    assert settings["hinted_handoff_enabled"] == "true"
    assert settings["auto_snapshot"] == "true"
    assert settings["commitlog_directory"] == "/var/lib/cassandra/commitlog"
    assert settings["data_file_directories"] == "[/var/lib/cassandra/data]"
    assert settings["listen_interface"] == settings["rpc_interface"] == "eth1"


def test_the_node_logs_no_error_at_its_start(lone_node: Ring) -> None:
    started, _, _ = lone_node.log(1).partition("Startup complete")
    assert started != lone_node.log(1)
    assert [line for line in started.splitlines() if " ERROR " in line] == []


def test_its_data_is_on_a_disk_below_the_ring_s_folder(lone_node: Ring) -> None:
    node = lone_node.nodes[1]
    assert list((node.data / "commitlog").glob("CommitLog-*.log"))
    assert list((node.data / "data" / "system").iterdir())


def test_a_killed_node_has_what_it_acknowledged(lone_node: Ring) -> None:
    keyspace = lone_node.new_keyspace()
    # 1. Writes, all of them still in memory and in the commit log only.
    with lone_node.session(keyspace=keyspace) as session:
        insert = session.prepare("INSERT INTO lanes (minute, lane) VALUES (?, uuid())")
        for minute in range(WRITES):
            session.execute(insert, [minute])
    # 2. The kill, and another start.
    lone_node.kill(1)
    lone_node.start_node(1)
    lone_node.wait_up()
    # Result: all are there.
    with lone_node.session(keyspace=keyspace) as session:
        assert session.execute("SELECT count(*) FROM lanes").one()[0] == WRITES
