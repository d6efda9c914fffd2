# What all parts say of themselves, kept for some days: for how many allocations are wanted, for alerts
# and graphs (prometheus/, docs/rightsizing.md). One, anywhere. Who depends on it goes on without it.

variable "folder" {
  type        = string
  default     = "/opt/teracompra/prometheus"
  description = "Where prometheus.yml and the rules are, on every node."
}

job "prometheus" {
  type     = "service"
  priority = 60 # little, and wanted before what it is about

  update {
    min_healthy_time  = "1s"
    healthy_deadline  = "45s"
    progress_deadline = "60s"
  }

  group "prometheus" {
    # It stays with the group where it can, a drained node's comes along; with a dead node it is gone,
    # and no count falls for 9 minutes (prometheus/rules/webhook.yml).
    ephemeral_disk {
      size    = 600 # MB
      sticky  = true
      migrate = true
    }

    network {
      port "http" { static = 9090 }
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
      name = "prometheus"
      port = "http"

      check {
        type     = "http"
        path     = "/-/ready"
        interval = "2s"
        timeout  = "2s"
      }
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

    task "prometheus" {
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
        command = "/opt/teracompra/bin/prometheus"
        args = [
          "--config.file=${var.folder}/prometheus.yml",
          "--storage.tsdb.path=${NOMAD_ALLOC_DIR}/data/prometheus",
          # Alerts look at 3 days.
          "--storage.tsdb.retention.time=4d",
          "--storage.tsdb.retention.size=400MB",
          "--web.listen-address=${NOMAD_ADDR_http}",
          "--web.console.templates=${var.folder}/consoles",
          "--log.level=info",
        ]
      }

      # Its collector works harder from here on, before the kernel ends it.
      env {
        GOMEMLIMIT = "224MiB"
      }

      resources {
        cpu        = 50 # MHz
        memory     = 96 # MB; see docs/rightsizing.md
        memory_max = 256
      }
    }
  }
}
