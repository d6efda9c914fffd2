"""wrk as the load generator: it costs a tenth of what a receiver costs."""

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tgibf.events import load_events

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
{close}
"""
WITH_HEADS = """
local first = ([==[{first}]==]):gsub("\\n", "\\r\\n")
local last = "\\r\\n" .. [==[{body}]==]
local heads, number = {{}}, 0
function init()
  local file = io.open("{file}", "rb")
  for size in file:lines() do heads[#heads + 1] = file:read(tonumber(size)) end
end
function request()
  number = number % #heads + 1
  return first .. heads[number] .. last
end
"""
FIRST = """
POST {path} HTTP/1.1
Host: {host}
Content-Type: application/json
Content-Length: {length}
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
    close = "" if load.keep_alive else _CLOSE
    return _run(url, load, seconds, SCRIPT.format(body=_body(), close=close))


def run_with_heads(url: str, load: Load, seconds: int, heads: Iterable[str]) -> Measured:
    """The same, with header lines of its own for each event. Raises CalledProcessError."""
    with tempfile.NamedTemporaryFile("w", newline="") as file:
        file.writelines(f"{len(head)}\n{head}" for head in heads)
        file.flush()
        to, length = urlsplit(url), len(_body().encode())
        first = FIRST.format(path=to.path, host=to.netloc, length=length)
        first += "" if load.keep_alive else "Connection: close\n"
        script = WITH_HEADS.format(file=file.name, first=first, body=_body())
        return _run(url, load, seconds, script)


def _body() -> str:
    return load_events()[0].decode()


def _run(url: str, load: Load, seconds: int, text: str) -> Measured:
    with tempfile.NamedTemporaryFile("w", suffix=".lua", newline="") as script:
        script.write(text)
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
