"""A proxy of a test's own, which has a receiver at a path, as others have it at a host."""

from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import urlsplit


class PathProxy:
    """A context manager: passes on what comes to `path`, without the path; anything else is 404."""

    def __init__(self, receiver: str, path: str, *, posts: bool = True) -> None:
        """`receiver` is its URL; without `posts` a POST gets a 404, too."""
        address = urlsplit(receiver).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._pass_on(b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if posts:
                    self._pass_on(body)
                else:
                    self._answer(404, b"")

            def _pass_on(self, body: bytes) -> None:
                if not self.path.startswith(f"{path}/"):
                    self._answer(404, b"")
                    return
                connection = HTTPConnection(address, timeout=10)
                try:
                    connection.request(self.command, self.path.removeprefix(path), body or None)
                    answer = connection.getresponse()
                    self._answer(answer.status, answer.read())
                finally:
                    connection.close()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
