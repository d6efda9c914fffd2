"""The mark by which a service of Nomad's is registered anew."""

from cluster.access.registrations import MARK, marked

SERVICE = {  # as GET /v1/agent/services of Consul 1.21.0 has it
    "ID": "_nomad-task-1b2c-group-webhook-webhook-http",
    "Service": "webhook",
    "Tags": ["version-0.1.0"],
    "Meta": {"external-source": "nomad"},
    "Port": 26411,
    "Address": "192.168.56.11",
    "TaggedAddresses": {"lan_ipv4": {"Address": "192.168.56.11", "Port": 26411}},
    "Weights": {"Passing": 1, "Warning": 1},
    "EnableTagOverride": False,
    "Datacenter": "dc1",
}


def test_a_mark_changes_nothing_that_finds_the_service() -> None:
    one = marked(SERVICE)
    same = ("ID", "Tags", "Port", "Address", "Weights", "EnableTagOverride")
    assert {name: one[name] for name in same} == {name: SERVICE[name] for name in same}
    assert one["Name"] == SERVICE["Service"]
    assert one["Meta"] == {"external-source": "nomad", MARK: "wanted"}
    assert "Checks" not in one  # those that there are stay, with what is known of them
