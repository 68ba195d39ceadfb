"""A web server for one small site, on a port of loopback and thereby on an origin of its own.

Used by `opening`. It runs in a thread, so that it goes on while the demo waits for Ctrl-C.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from app.demo.sites.pages import Document, Documents
from app.embedded.ports import LOOPBACK

_TICK_S = 0.05
_PATIENCE_S = 60
_NOT_FOUND = Document(b"There is no such page.", "text/plain; charset=utf-8")


class SiteServer(ThreadingHTTPServer):
    """Serves `documents` under `policy`; both are empty until somebody fills them in."""

    def __init__(self, port: int) -> None:
        self.documents: Documents = {}
        self.policy = ""
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        """The site's origin."""
        return f"http://{LOOPBACK}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over visitors who leave in the middle of an answer, as browsers do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server: SiteServer

    def do_GET(self) -> None:
        """Answer with a document."""
        found = self.server.documents.get(urlsplit(self.path).path)
        document = found or _NOT_FOUND
        self.send_response(404 if found is None else 200)
        headers = {
            "Content-Type": document.media_type,
            "Content-Length": str(len(document.content)),
            "Content-Security-Policy": self.server.policy,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(document.content)

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo's terminal is for its results."""


@contextmanager
def serve_site(port: int) -> Iterator[SiteServer]:
    """Listen on a port, or on another one if somebody else does; 0 takes any."""
    try:
        server = SiteServer(port)
    except (OSError, OverflowError):
        server = SiteServer(0)
    thread = threading.Thread(target=server.serve_forever, args=(_TICK_S,), name="site", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
