"""A server whose answers are given, for commands to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answers = dict[str, tuple[int, Any]]


class Seen:
    """What a server was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str]] = []
        """Method, target and key of each."""
        self.bodies: list[bytes] = []


@contextmanager
def serve(answers: Answers) -> Iterator[tuple[str, Seen]]:
    """A server of these answers, in a thread, because a command runs its own loop; its address."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            key = self.headers.get("Authorization", "")
            seen.requests.append((self.command, self.path, key))
            seen.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            status, value = answers[self.path]
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()
