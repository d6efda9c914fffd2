"""This machine's network."""

import fcntl
import socket
import struct

from tools.say import say

SIOCGIFADDR = 0x8915  # netdevice(7)


def interface_address(interface: str) -> str:
    """The IPv4 address of an interface. Raises OSError if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", interface.encode())
        return socket.inet_ntoa(fcntl.ioctl(asking, SIOCGIFADDR, request)[20:24])


def free_port(port: int) -> int:
    """`port`, or 0 if something listens there on 127.0.0.1: then the kernel picks one."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        say(f"port {port} is taken; using another one")
        return 0
    return port


def listens(port: int) -> bool:
    """Whether something of this machine listens at this TCP port."""
    try:
        socket.create_server(("0.0.0.0", port)).close()  # noqa: S104 - of any address
    except OSError:
        return True
    return False
