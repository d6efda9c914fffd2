# Every node's agent, byte for byte: a server and a client in one. Nothing in it names one node but
# its host name and its eth1.
datacenter = "dc1"
data_dir   = "/var/lib/nomad"

# It listens everywhere, so that `nomad` on the node finds it at 127.0.0.1; the others are told the
# address on eth1, the network between the nodes.
bind_addr = "0.0.0.0"
advertise {
  http = "{{ GetInterfaceIP \"eth1\" }}"
  rpc  = "{{ GetInterfaceIP \"eth1\" }}"
  serf = "{{ GetInterfaceIP \"eth1\" }}"
}

# A node that is told to stop will be back: it stays a member.
leave_on_terminate = false
leave_on_interrupt = false

server {
  enabled          = true
  bootstrap_expect = 3

  # Over and over, whatever the order they start in.
  server_join {
    retry_join     = ["192.168.56.11", "192.168.56.12", "192.168.56.13"]
    retry_interval = "2s"
    retry_max      = 0
  }

  # Nodes share their cores with Cassandra: a leader gets 3 times as long before an election.
  raft_multiplier = 3

  # A client reports that it is alive every 3 to 6 s; one that is 12 s late is down, and its
  # allocations are placed elsewhere: within 18 s. In these 12 s it can fail twice, at a server that
  # hangs (`rpc` below, 6 s), and still be in time. A leader that hangs for no longer than that has
  # seen no client late when it wakes (docs/root-cause/hung-leader.md). The defaults, 10 s each, leave
  # a dead node's share of the webhook missing for up to 30 s.
  min_heartbeat_ttl = "3s"
  heartbeat_grace   = "12s"
  # A new leader gives all clients this long to say that they are alive, 5 minutes unless told
  # otherwise: a node that died as the leader would keep its allocations for as long.
  failover_heartbeat_ttl = "15s"

  # A job may say that it needs more memory at times than it has to itself (`memory_max`).
  default_scheduler_config {
    memory_oversubscription_enabled = true
  }
}

# Three servers, always the same: a dead one stays a peer and has its vote as soon as it is back (see
# consul/consul.hcl).
autopilot {
  cleanup_dead_servers = false
}

# A server that hangs keeps its connections open, and whoever waits for its answer waits: for 30 to 45 s
# unless told otherwise, in which the report of a client that is well comes too late. A connection whose
# other end does not answer to a ping for 3 s is closed, and another server is asked.
rpc {
  keep_alive_interval      = "3s"
  connection_write_timeout = "3s"
}

client {
  enabled = true

  # Allocations listen where the other nodes and the load balancers reach them.
  network_interface = "eth1"

  # What is not for jobs: Cassandra (1,070 MB once it is warm), Consul and Nomad (130 to 140 MB each),
  # the system. A node with 2 GB has room for Fabio and two webhooks then, one with 3 GB for eight.
  reserved {
    memory = 1536
    cpu    = 100
    # Ports that something of the node listens on. (Outgoing connections have others than
    # allocations: node/sysctl.conf.)
    reserved_ports = "22,7000,8300-8302,8500,8600,9042"
  }

  # The `exec` driver builds a root for each task out of these files, one by one. The default, or all
  # of /usr, takes 20 to 60 s; so the few files that a program needs before it can open /usr are
  # copied, and /usr itself is mounted.
  chroot_env = {
    "/etc/group"         = "/etc/group"
    "/etc/hosts"         = "/etc/hosts"
    "/etc/ld.so.cache"   = "/etc/ld.so.cache"
    "/etc/nsswitch.conf" = "/etc/nsswitch.conf"
    "/etc/passwd"        = "/etc/passwd"

    # By their real names: what the programs call them are links, and Nomad would link the link,
    # which leads nowhere in there.
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"   = "/lib64/ld-linux-x86-64.so.2"
    "/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" = "/lib/ld-linux-aarch64.so.1"
  }

  # Python and its libraries.
  host_volume "usr" {
    path      = "/usr"
    read_only = true
  }

  # Programs and releases of this project.
  host_volume "teracompra" {
    path      = "/opt/teracompra"
    read_only = true
  }

  # Who the webhook is to Cassandra: nothing in an open cluster.
  host_volume "login" {
    path      = "/var/lib/teracompra/access/login"
    read_only = true
  }

  # A webhook drains for up to 20 s after SIGTERM.
  max_kill_timeout = "60s"

  options = {
    # Clouds are not asked what machine this is: the answer is a time-out.
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"

    # The other drivers are not asked, either: that of Java starts a JVM every 30 s to see its version.
    "driver.allowlist" = "exec"
  }
}

# Jobs run as programs of the node, in a root and a cgroup of their own.
plugin "exec" {
  config {
    # Nothing that a job asks for makes it more than nobody: no capability of root's, no user that the
    # node has for anything else. (65534 is nobody, whom Nomad takes by itself.)
    allow_caps       = []
    denied_host_uids = "0-65533"

    default_pid_mode = "private"
    default_ipc_mode = "private"
  }
}

consul {
  address = "127.0.0.1:8500"
}

ui {
  enabled = true

  consul {
    ui_url = "http://192.168.56.11:8500/ui"
  }
}

# For Prometheus: /v1/metrics?format=prometheus.
telemetry {
  collection_interval        = "10s"
  prometheus_metrics         = true
  publish_allocation_metrics = true
  publish_node_metrics       = true
  disable_hostname           = true
}

disable_update_check = true

log_level = "INFO"
