"""The processes of this machine, from /proc."""

from collections.abc import Iterator
from pathlib import Path


def processes() -> Iterator[Path]:
    """The folders in /proc of all processes."""
    return Path("/proc").glob("[0-9]*")


def command_line(process: Path) -> str:
    """A process's command with its arguments; empty if it has ended."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def processes_with(argument: str) -> list[str]:
    """Command lines of running processes that contain `argument`."""
    return [line for process in processes() if argument in (line := command_line(process))]


def network_of(pid: int) -> int:
    """The network namespace that a process is in, by the kernel's number; 0 if it has ended."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0


def in_network(network: int) -> dict[int, str]:
    """The command lines of the processes in a network namespace, by process number."""
    return {
        pid: command_line(process)
        for process in processes()
        if network_of(pid := int(process.name)) == network
    }
