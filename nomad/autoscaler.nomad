# As many allocations of the webhook as are wanted: HashiCorp's autoscaler, which goes by the `scaling`
# block of webhook.nomad. One, anywhere; while there is none, the count stays as it is.
#   nomad job stop autoscaler         # from now on people scale

job "autoscaler" {
  type     = "service"
  priority = 60

  update {
    min_healthy_time  = "1s"
    healthy_deadline  = "45s"
    progress_deadline = "60s"
  }

  group "autoscaler" {
    network {
      port "http" { static = 9096 }
      port "gate" { static = 9095 }
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
      name = "autoscaler"
      port = "http"

      # It may drop its policies for good and say that it is well (hashicorp/nomad-autoscaler#1334): after
      # 30 s of that it starts anew.
      check {
        name     = "evaluates"
        type     = "http"
        port     = "gate"
        path     = "/alive"
        interval = "3s"
        timeout  = "6s"

        check_restart {
          limit = 10
          grace = "20s"
        }
      }
    }

    # Where receivers learn how many of them are wanted, for the live page.
    service {
      name = "autoscaler-gate"
      port = "gate"
    }

    restart {
      attempts = 10
      interval = "5m"
      delay    = "1s"
      mode     = "delay"
    }

    reschedule {
      delay          = "5s"
      delay_function = "constant"
      unlimited      = true
    }

    # Its way to Prometheus, and what watches it (cluster/autoscaling).
    task "gate" {
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
        args    = ["/opt/teracompra/node/bin/gate"]
      }

      env {
        PYTHONPATH = "/opt/teracompra/packages"
      }

      resources {
        cpu    = 20 # MHz
        memory = 32 # MB
      }
    }

    task "autoscaler" {
      driver = "exec"

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
        command = "/opt/teracompra/bin/nomad-autoscaler"
        args    = ["agent", "-config=${NOMAD_TASK_DIR}/autoscaler.hcl"]
      }

      # Its token, by which it is this job (nomad/acl/autoscaler.hcl).
      identity {
        env = true
      }

      template {
        destination = "local/autoscaler.hcl"
        data        = <<EOF
http {
  bind_address = "0.0.0.0"
  bind_port    = {{ env "NOMAD_PORT_http" }}
}

# The only way to Nomad.
nomad {
  address = "http://127.0.0.1:4646"
}

# Not Prometheus itself: a connection that is refused would be the end (cluster/autoscaling/gate.py).
apm "prometheus" {
  driver = "prometheus"
  config = {
    address = "http://127.0.0.1:{{ env "NOMAD_PORT_gate" }}"
  }
}

telemetry {
  prometheus_metrics = true
  disable_hostname   = true
}

log_level = "INFO"
EOF
      }

      env {
        GOMEMLIMIT = "96MiB"
      }

      resources {
        cpu        = 50 # MHz
        memory     = 64 # MB
        memory_max = 128
      }
    }
  }
}
