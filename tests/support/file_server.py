"""Files over HTTP, from a folder of a test's own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FileServer:
    """Where the files are had, and the paths that were asked for so far."""

    url: str
    asked: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    asked: list[str]


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Serve the files of `folder` on a port that the kernel picks."""
    with _Server(("127.0.0.1", 0), partial(_Handler, directory=folder)) as server:
        running = FileServer(f"http://127.0.0.1:{server.server_port}")
        server.asked = running.asked
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield running
        finally:
            server.shutdown()
