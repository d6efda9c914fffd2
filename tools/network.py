"""This machine's network."""

import fcntl
import socket
import struct
import time

PAUSE_SECONDS = 0.1
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


def wait_until_free(*ports: int) -> None:
    """Return when nothing listens at these TCP ports of this machine; says what it waits for."""
    told = False
    while taken := [port for port in ports if listens(port)]:
        if not told:
            print(f"waiting until {taken} are free: end whatever listens there", flush=True)
        told = True
        time.sleep(PAUSE_SECONDS)
