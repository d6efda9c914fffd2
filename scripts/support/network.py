"""This machine's network interfaces."""

import fcntl
import socket
import struct

SIOCGIFADDR = 0x8915  # netdevice(7)


def interface_address(interface: str) -> str:
    """The IPv4 address of an interface. Raises OSError where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", interface.encode())
        return socket.inet_ntoa(fcntl.ioctl(asking, SIOCGIFADDR, request)[20:24])
