"""Does Cassandra accept clients on this node's eth1? For Consul's check: 0 for yes, 2 for no.

Every node asks every ten seconds, for ever. So Consul has Python run this file without what scripts
import otherwise: that takes a third of the time.
"""

import socket
import sys

from tools.network import interface_address

PORT = 9042
SECONDS = 5.0
OPTIONS = bytes.fromhex("05 00 0000 05 00000000")  # a frame of the native protocol, version 5
SUPPORTED = 0x06


def main() -> int:
    if sys.argv[1:]:
        import argparse

        argparse.ArgumentParser(
            description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        ).parse_args()
    try:
        host = interface_address("eth1")
        with socket.create_connection((host, PORT), SECONDS) as connection:
            connection.sendall(OPTIONS)
            answer = connection.recv(9)
    except OSError as error:
        print(f"Cassandra does not answer: {error}")
        return 2
    if len(answer) < 5 or answer[4] != SUPPORTED:
        print(f"what listens at {host}:{PORT} is not Cassandra")
        return 2
    print(f"Cassandra answers at {host}:{PORT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
