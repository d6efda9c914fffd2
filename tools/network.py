"""This machine's network."""

import fcntl
import socket
import struct

SIOCGIFADDR = 0x8915  # netdevice(7)


def interface_address(interface: str) -> str:
    """The IPv4 address of an interface. Raises OSError if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", interface.encode())
        return socket.inet_ntoa(fcntl.ioctl(asking, SIOCGIFADDR, request)[20:24])


def listens(port: int) -> bool:
    """Whether something of this machine listens at this TCP port."""
    try:
        socket.create_server(("0.0.0.0", port)).close()  # noqa: S104 - of any address
    except OSError:
        return True
    return False
