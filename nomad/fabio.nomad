# The load balancer, on every node: whoever reaches any node reaches every allocation.
# Traffic at 9999, its routes for the eye at 9998. Routes come from a program beside it, at 9997: where
# Consul says the webhook is, less what can't be reached from this node (cluster/routing).

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
      port "routes" { static = 9997 } # UDP, too: the beats between the nodes
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

    task "routes" {
      driver = "exec"

      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      volume_mount {
        volume      = "usr"
        destination = "/usr"
        read_only   = true
      }
      volume_mount {
        volume      = "teracompra"
        destination = "/opt/teracompra"
        read_only   = true
      }

      config {
        command = "/usr/bin/python3"
        args    = ["/opt/teracompra/node/bin/routes"]
      }

      env {
        PYTHONPATH = "/opt/teracompra/packages"
      }

      resources {
        cpu    = 50 # MHz
        memory = 64 # MB
      }
    }

    task "fabio" {
      driver = "exec"

      # Its door closes within a second (node/closing.py); open connections get `shutdownwait`.
      kill_timeout = "35s"

      volume_mount {
        volume      = "usr"
        destination = "/usr"
        read_only   = true
      }
      volume_mount {
        volume      = "teracompra"
        destination = "/opt/teracompra"
        read_only   = true
      }

      config {
        command = "/usr/bin/python3"
        args = [
          "/opt/teracompra/node/bin/door", # waits for the routes, runs Fabio, and closes its door
          "--",
          "/opt/teracompra/bin/fabio",
          # TCP: bytes are passed on, and nothing is parsed; a kept-alive connection stays with its
          # allocation. On kept-alive connections that is twice the events/s of HTTP mode for a
          # quarter of the CPU time; with a connection for each event they are equal
          # (`scripts/bench cluster`, docs/cluster.md).
          "-proxy.addr=:9999;proto=tcp",
          # To look at: routes can't be changed there.
          "-ui.addr=:9998",
          "-ui.access=ro",
          # The program beside it.
          "-registry.backend=custom",
          "-registry.custom.scheme=http",
          "-registry.custom.host=127.0.0.1:9997",
          "-registry.custom.path=routes",
          "-registry.custom.pollinterval=500ms",
          "-registry.custom.timeout=10s",
          # A connection's first packet is repeated after 1 s and after 3 s, and on a busy machine the
          # answer may have to wait for Fabio: a dial that ends too soon is an event that fails. On a
          # node that died a moment ago it is of no use, but the program beside takes that out of
          # the routes, and clients have their own limit.
          "-proxy.dialtimeout=4s",
          # At a stop: nothing new, and this long for what is open. A kept-alive connection is gone by
          # then, with an answer that says so (WEBHOOK_CONNECTION_AGE_SECONDS and its drain).
          "-proxy.shutdownwait=25s",
          "-log.level=INFO",
        ]
      }

      env {
        # Its collector works harder from here on, before the kernel ends it.
        GOMEMLIMIT = "448MiB"
        # Plain TCP: Go listens for multipath TCP if it isn't told, and such a door can't be closed
        # politely (node/closing.py). Those who connect don't speak it.
        GODEBUG = "multipathtcp=0"
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
