# Thank God It's Black Friday: bursts at the webhook, through the load balancer of the node that it
# runs on. It ends by itself; run it again, and it runs again.
#   nomad job run tgibf.nomad
#   nomad job run -var mode=steady -var rate=2000 -var seconds=600 tgibf.nomad

variable "version" {
  type    = string
  default = "0.1.0"
}

variable "mode" {
  type        = string
  default     = "burst"
  description = "burst (burst i is i x 1000 events at once) or steady (an even rate)"
  validation {
    condition     = contains(["burst", "steady"], var.mode)
    error_message = "The mode is burst or steady."
  }
}

variable "seconds" {
  type        = number
  default     = 60
  description = "Nothing new is started after so many seconds."
}

variable "rate" {
  type        = number
  default     = 500
  description = "Events per second, in steady mode."
}

variable "url" {
  type        = string
  default     = "http://127.0.0.1:9999"
  description = "The webhook; several URLs, separated by spaces, take turns."
}

job "tgibf" {
  type = "batch"

  # Nomad doesn't run a batch job again that has not changed; this changes each time.
  meta {
    run = uuidv4()
  }

  group "tgibf" {
    # A load test that failed has failed: trying again is for who reads it to decide.
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
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

    task "tgibf" {
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
        command = "/usr/bin/python3"
        args = concat(
          ["-m", "tgibf"],
          split(" ", var.url),
          ["--seconds", "${var.seconds}"],
          var.mode == "steady" ? ["--rate", "${var.rate}", "--keep-alive"] : [],
        )
      }

      env {
        PYTHONPATH = "/opt/teracompra/releases/${var.version}"
      }

      # Ctrl-C in `nomad job stop`: it waits for what is in flight and prints its summary.
      kill_signal  = "SIGINT"
      kill_timeout = "35s"

      resources {
        cpu    = 200 # MHz
        memory = 300 # MB, for some 15,000 connections at once
      }
    }
  }
}
