# Every node's agent, byte for byte; nothing in it names one node but its host name and its eth1.
# A server on each of three nodes: two of them make a quorum, so any one may be lost.
datacenter = "dc1"
server     = true

# The first election waits for three servers: no node begins a cluster of its own.
bootstrap_expect = 3

# The servers by address, over and over: a node finds the others whatever the order they start in,
# and again after it was away.
retry_join     = ["192.168.56.11", "192.168.56.12", "192.168.56.13"]
retry_interval = "2s"
retry_max      = 0

# eth1 is the network between the nodes. Without these lines it would be the first private address,
# which on a Vagrant machine is the NAT of eth0, the same one on every node.
bind_addr      = "{{ GetInterfaceIP \"eth1\" }}"
advertise_addr = "{{ GetInterfaceIP \"eth1\" }}"
# Processes of the node ask at 127.0.0.1, browsers at the node's address or, where a port of this
# machine is forwarded to a virtual one, at that one's eth0.
client_addr = "0.0.0.0"

# Only the node's own processes register services, set keys and the like; others may read.
http_config {
  allow_write_http_from = ["127.0.0.0/8"]
}

# On the disk, not in /tmp: the peer set and the catalog survive a reboot.
data_dir = "/var/lib/consul"

# A node that is told to stop will be back: it stays a member, and its services become critical.
leave_on_terminate      = false
skip_leave_on_interrupt = true

# The cluster's own clock. 1 is for real networks of servers with a core to spare; nodes here share
# their cores with Cassandra, so a leader gets 3 times as long before the others hold an election.
performance {
  raft_multiplier = 3
}

# Three servers, always the same: a dead one stays a peer and has its vote as soon as it is back.
# Taken out, it would come back without one for a while, and the two others were all of the peers:
# the next of them to go would end the quorum, with two of three servers running.
autopilot {
  cleanup_dead_servers      = false
  last_contact_threshold    = "2s"
  server_stabilization_time = "5s"
}

# A dead node is forgotten, with what it was registered for, after three days and not sooner.
reconnect_timeout = "72h"

ui_config {
  enabled = true
}

# Names such as webhook.service.consul, on 8600. A dead allocation's address is never handed out,
# and none is kept by resolvers.
dns_config {
  only_passing = true
  service_ttl = {
    "*" = "0s"
  }
}

# For Prometheus: /v1/agent/metrics?format=prometheus.
telemetry {
  prometheus_retention_time = "10m"
  disable_hostname          = true
}

# No calls to checkpoint-api.hashicorp.com: nodes may have no way out.
disable_update_check = true

log_level = "INFO"
