"""Servers of the tests' own that answer a path as a test says, and Prometheus' way to answer."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, bytes]


def vector(*values: str) -> bytes:
    """An answer of Prometheus' with a stream for each value."""
    result = [{"metric": {"n": str(n)}, "value": [1.5, one]} for n, one in enumerate(values)]
    data = {"resultType": "vector", "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


@contextmanager
def answering(answer: Callable[[str], Answer]) -> Iterator[tuple[str, int]]:
    """The address of a server that answers a path so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - as http.server calls it

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Not on the tests' output."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield ("127.0.0.1", server.server_port)


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[ThreadingHTTPServer]:
    """It serves until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
