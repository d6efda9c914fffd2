"""Where the agents of a node talk to their peers, and how such a connection begins."""

PORTS = {"consul": 8300, "nomad": 4647, "cassandra": 7000}
RPC_TLS = {"consul": "03", "nomad": "04", "cassandra": ""}
"""What a connection begins with that is to go on as TLS (agent/pool, helper/pool: RpcTLS); hex."""
RPC_PLAIN = {"consul": "01", "nomad": "01", "cassandra": "00"}
"""And one that is not; hex."""
