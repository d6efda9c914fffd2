"""wrk as the load generator: it costs a tenth of what a receiver costs."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tgibf.events import load_events

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
{close}
"""
_CLOSE = 'wrk.headers["Connection"] = "close"'


@dataclass(frozen=True, slots=True)
class Load:
    """How requests come in: on `connections` kept alive, or on a connection each."""

    name: str
    connections: int
    keep_alive: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """What wrk saw; errors are answers other than 200 and failed connections."""

    per_second: float
    p99_ms: float
    errors: int


def run(url: str, load: Load, seconds: int) -> Measured:
    """POST one event after another for `seconds`. Raises CalledProcessError."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        close = "" if load.keep_alive else _CLOSE
        script.write(SCRIPT.format(body=load_events()[0].decode(), close=close))
        script.flush()
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency"]
        command += ["--timeout", "10s", "-s", script.name, url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Measured(_number(r"Requests/sec:\s+([\d.]+)", output), _p99(output), _errors(output))


def available() -> bool:
    """Whether wrk is installed."""
    return any((Path(folder) / "wrk").exists() for folder in ("/usr/bin", "/usr/local/bin"))


def _p99(output: str) -> float:
    match = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if match is None:
        return float("nan")
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]


def _errors(output: str) -> int:
    answers = int(_number(r"Non-2xx or 3xx responses: (\d+)", output))
    sockets = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return answers + (sum(map(int, sockets.groups())) if sockets else 0)


def _number(pattern: str, output: str) -> float:
    match = re.search(pattern, output)
    return float(match[1]) if match else 0.0
