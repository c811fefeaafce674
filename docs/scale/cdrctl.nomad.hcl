# Every night, eight allocations bring the archive up to date, each with one shard of the profiles. See docs/scale.md.
job "cdrctl-sync" {
  type = "batch"

  periodic {
    crons            = ["30 2 * * *"]
    time_zone        = "UTC"
    prohibit_overlap = true
  }

  group "shard" {
    count = 8

    restart {
      attempts = 3
      interval = "24h"
      delay    = "15m"
      mode     = "fail"
    }

    task "sync" {
      driver = "exec"
      user   = "cdr"

      config {
        command = "/usr/local/bin/cdrctl"
        args    = ["sync", "--all", "--shard", "${NOMAD_ALLOC_INDEX}/8", "--into", "/srv/cdr", "--log-format", "json"]
      }

      env {
        CDRCTL_CONFIG = "/etc/cdrctl/config.toml"
      }

      resources {
        cpu    = 500
        memory = 1024
      }
    }
  }
}
