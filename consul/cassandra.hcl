# The node's own Cassandra, as cassandra.service.consul.
service {
  name = "cassandra"
  port = 9042

  check {
    name = "Cassandra takes clients"
    args = [
      "/usr/bin/env", "PYTHONPATH=/opt/teracompra",
      "/usr/bin/python3", "-PS", "/opt/teracompra/node/check_cql.py",
    ]
    interval = "10s" # a Python each time
    timeout  = "8s"
  }
}

# Checks that run a program are for those in this folder only: nobody can register one over HTTP.
enable_local_script_checks = true
