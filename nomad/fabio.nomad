# The load balancer, on every node: whoever reaches any node reaches every allocation.
# Traffic at 9999, its routes for the eye at 9998. Routes come from the services in Consul whose tags
# begin with `urlprefix-`, as soon as they change.

job "fabio" {
  type     = "system"
  priority = 80 # what carries the traffic is placed before what makes it

  update {
    max_parallel     = 1
    min_healthy_time = "2s"
    healthy_deadline = "60s"
  }

  group "fabio" {
    network {
      port "traffic" { static = 9999 }
      port "ui" { static = 9998 }
    }

    volume "usr" {
      type      = "host"
      source    = "usr"
      read_only = true
    }
    volume "teracompra" {
      type      = "host"
      source    = "teracompra"
      read_only = true
    }

    service {
      name = "fabio"
      port = "ui"

      check {
        type     = "http"
        path     = "/health"
        interval = "2s"
        timeout  = "1s"
      }
    }

    restart {
      attempts = 10
      interval = "5m"
      delay    = "2s"
      mode     = "delay"
    }

    task "fabio" {
      driver = "exec"

      volume_mount {
        volume      = "teracompra"
        destination = "/opt/teracompra"
        read_only   = true
      }

      config {
        command = "/opt/teracompra/bin/fabio"
        args = [
          # TCP: bytes are passed on, and nothing is parsed; a kept-alive connection stays with its
          # allocation. On kept-alive connections that is twice the events/s of HTTP mode for a
          # quarter of the CPU time; with a connection for each event they are equal
          # (`scripts/bench cluster`, docs/cluster.md).
          "-proxy.addr=:9999;proto=tcp",
          # To look at: routes can't be changed there.
          "-ui.addr=:9998",
          "-ui.access=ro",
          # Fabio only watches; Nomad registers it.
          "-registry.consul.register.enabled=false",
          "-registry.consul.addr=127.0.0.1:8500",
          # Every check of a service must pass, the node's own among them: an allocation that drains,
          # or whose store is out of reach, gets nothing.
          "-registry.consul.checksRequired=all",
          # An allocation on a node that died a moment ago: fail soon, the client tries again. Not
          # within 1 s: only then is a connection's first packet repeated, which a burst may lose.
          "-proxy.dialtimeout=2s",
          "-log.level=INFO",
        ]
      }

      # Its collector works harder from here on, before the kernel ends it.
      env {
        GOMEMLIMIT = "448MiB"
      }

      # A connection that is open has 2 buffers of 32 KB, so a burst of 10,000 at once takes 300 MB
      # and more; without bursts it has 20 MB.
      resources {
        cpu        = 200 # MHz
        memory     = 96  # MB
        memory_max = 512
      }
    }
  }
}
