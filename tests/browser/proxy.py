"""An nginx of a test's own, in front of a receiver."""

import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

import pytest

from harness.waiting import wait_for
from tools.root import ROOT

ATTEMPTS = 3

# One process that stays in the foreground, as whoever runs the test, and nothing outside `folder`.
SETTINGS = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


def documented_location(path: str, receiver: str) -> str:
    """The lines of docs/operating.md, for another path and the receiver at another address."""
    text = (ROOT / "docs" / "operating.md").read_text()
    found = re.search(r"```nginx\n(.+?)```", text, re.DOTALL)
    assert found is not None, "docs/operating.md shows no nginx"
    assert "/calls/" in found[1]
    assert "http://127.0.0.1:8080" in found[1]
    return found[1].replace("/calls/", path).replace("http://127.0.0.1:8080", receiver)


class Nginx:
    """nginx with `location` on a port of 127.0.0.1 that was free, from `with` until its end.

    The test is skipped where there is none.
    """

    def __init__(self, folder: Path, location: str) -> None:
        self.url = ""
        """Such as `http://127.0.0.1:40123`."""
        self._folder = folder
        self._location = location
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if nginx is None:
            pytest.skip("no nginx found: there is no `nginx` on the PATH or in /usr/sbin")
        for _ in range(ATTEMPTS):  # another process may take the port before nginx does
            if self._runs(nginx, _free_port()):
                return self
        raise RuntimeError(f"nginx did not start:\n{self._log.read_text(errors='replace')}")

    @property
    def _log(self) -> Path:
        return self._folder / "nginx.stderr"

    def _runs(self, nginx: str, port: int) -> bool:
        self.url = f"http://127.0.0.1:{port}"
        settings = self._folder / "nginx.conf"
        settings.write_text(
            SETTINGS.format(folder=self._folder, port=port, location=self._location)
        )
        command = [nginx, "-e", "stderr", "-p", str(self._folder), "-c", str(settings)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        self._process = process
        try:
            wait_for(lambda: process.poll() is not None or _listens(port), "nginx listens")
        except TimeoutError:
            self._kill()
            raise
        return process.poll() is None

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self._kill()


def _free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
