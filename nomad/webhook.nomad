# The webhook. `nomad job scale webhook 5` changes how many there are; a new version rolls out by
#   nomad job run -preserve-counts -var version=0.2.0 webhook.nomad

variable "version" {
  type        = string
  default     = "0.1.0"
  description = "A release in /opt/teracompra/releases on every node; scripts/package makes them."
}

variable "count" {
  type        = number
  default     = 2
  description = "Allocations to begin with. Two, so that the loss of a node leaves one."
}

variable "events_per_second" {
  type        = number
  default     = 0
  description = "What one allocation takes; beyond that it refuses. 0: as much as it can."
}

# The day of the year. Cron, in UTC; the date is another one each year.
variable "floor" {
  type        = number
  default     = 2
  description = "As many at least, whatever comes, while the calendar says so (with the autoscaler)."
}

variable "floor_start" {
  type        = string
  default     = "0 12 26 11 *"
  description = "When that begins: minute, hour, day, month and any day of the week. Hours before."
}

variable "floor_duration" {
  type        = string
  default     = "48h"
  description = "How long it lasts."
}

variable "healthy_deadline" {
  type        = string
  default     = "45s"
  description = "How long an allocation may take to be well; emulated machines need more. At least 15s."
}

job "webhook" {
  type = "service"

  # A new version comes first in one allocation more than there are. Once that one takes traffic, the
  # old ones are replaced one by one; a version that can't start never takes the place of one that
  # runs. Nomad refuses to scale during a deployment, so it ends soon: after 1 s of health, or 15 s
  # after an allocation had to be healthy, by default within a minute. Without a progress deadline
  # ("0s") a deployment that waits for room would never end. Nomad requires it to be longer than the
  # healthy deadline and than `kill_timeout` below. One deployment it can't end: a new version that
  # has no room for its first allocation (`scripts/cluster run` and `scale` end it).
  update {
    max_parallel      = 1
    canary            = 1
    auto_promote      = true
    min_healthy_time  = "1s"
    healthy_deadline  = var.healthy_deadline
    progress_deadline = "${var.healthy_deadline}15s" # a sum: Nomad reads 45s15s as 60 s
    auto_revert       = true
  }

  group "webhook" {
    count = var.count

    # 1 to 12 also bind people. How many in between is prometheus/rules/webhook.yml's to say, and
    # what runs for nomad/autoscaler.nomad to bring about (docs/rightsizing.md).
    scaling {
      enabled = true
      min     = 1
      max     = 12

      policy {
        evaluation_interval = "5s"
        # What slows the way down is in the rule: this is forgotten when the autoscaler starts anew.
        cooldown             = "30s"
        cooldown_on_scale_up = "5s"

        check "wanted" {
          source       = "prometheus"
          query        = "webhook:wanted"
          query_window = "instant"

          strategy "pass-through" {
            max_scale_down = 1
          }
        }

        check "calendar" {
          schedule {
            start    = var.floor_start
            duration = var.floor_duration
          }

          strategy "fixed-value" {
            value = var.floor
          }
        }
      }
    }

    # Over the nodes evenly: a node's death takes a third of them.
    spread {
      attribute = "${node.unique.name}"
    }

    # An allocation that ended is started again on its node, twice a minute at most, then elsewhere.
    restart {
      attempts = 2
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }

    # What failed on its node is placed elsewhere, again and again. (What was on a node that is lost
    # is placed elsewhere at once, whatever stands here.)
    reschedule {
      delay          = "5s"
      delay_function = "constant"
      unlimited      = true
    }

    # A stop, in this order: out of Consul, so that balancers send nothing new; this much later
    # SIGTERM; the drain (WEBHOOK_DRAIN_SECONDS); the exit.
    # On a busy node a balancer was seen to take 4.3 s to notice.
    shutdown_delay = "5s"

    network {
      port "http" {} # Nomad picks it, and the allocation learns it from its environment
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
    volume "login" {
      type      = "host"
      source    = "login"
      read_only = true
    }

    service {
      name = "webhook"
      port = "http"
      tags = ["version-${var.version}"]

      check {
        name     = "takes events"
        type     = "http"
        path     = "/ready"
        interval = "1s"
        timeout  = "2s"
        # One late answer on a busy node is no reason to send its events elsewhere, or nowhere.
        failures_before_critical = 2
      }
      # One that says nothing any more is started again. It may be slow, so it has a minute. It is
      # looked at often all the same: a Consul agent that was restarted takes each check as failed
      # until its first look, and names of Consul's leave out what fails any.
      check {
        name           = "is alive"
        type           = "http"
        path           = "/health"
        interval       = "2s"
        timeout        = "8s"
        initial_status = "passing"

        check_restart {
          limit = 30
          grace = "30s"
        }
      }
    }

    task "webhook" {
      driver = "exec"

      # Longer than the drain and what comes after it (lanes are sealed).
      kill_timeout = "30s"

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

      volume_mount {
        volume      = "login"
        destination = "/login"
        read_only   = true
      }

      config {
        command = "/usr/bin/python3"
        args    = ["-m", "webhook"]
      }

      env {
        PYTHONPATH            = "/opt/teracompra/releases/${var.version}"
        WEBHOOK_ADDRESS       = "${NOMAD_ADDR_http}"
        WEBHOOK_STORE         = "cassandra://192.168.56.11,192.168.56.12,192.168.56.13/teracompra?login=/login/webhook"
        WEBHOOK_CONSUL        = "http://127.0.0.1:8500"
        WEBHOOK_AUTOSCALER    = "autoscaler-gate"
        WEBHOOK_ALLOCATION    = "${NOMAD_ALLOC_INDEX}-${NOMAD_SHORT_ALLOC_ID}"
        WEBHOOK_DRAIN_SECONDS = "20"
        # A client that keeps its connection stays with one allocation until then: a new one gets its
        # share within this time.
        WEBHOOK_CONNECTION_AGE_SECONDS = "20"
        # Within the memory below: what is held is Python objects, several times as large.
        WEBHOOK_MAX_HELD_EVENTS       = "20000"
        WEBHOOK_MAX_HELD_BYTES        = "16777216"
        WEBHOOK_MAX_EVENTS_PER_SECOND = "${var.events_per_second}"
        # 4 KB each with an event in it.
        WEBHOOK_MAX_CONNECTIONS = "16000"
      }

      resources {
        cpu    = 200 # MHz, a share: it takes a whole core where one is idle
        memory = 160 # MB; see docs/capacity.md
      }
    }
  }
}
