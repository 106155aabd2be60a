"""An authorization server for tests: it publishes what it is told to."""

import http.server
import threading
import time


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that disconnect."""


class AuthorizationServer:
    """Publishes keys and one status list. It is down while ``down`` is true."""

    def __init__(self) -> None:
        self.keys = '{"keys":[]}'
        self.list: str | None = None
        self.etag = ""
        self.down = False
        self.delay = 0.0  # of responses, in seconds
        self.requests: list[tuple[str, int]] = []  # path and status of each response
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Responds to a request."""
                owner.respond(self)

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def respond(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Responds to a request."""
        time.sleep(self.delay)
        text = self.keys if handler.path == "/jwks.json" else self.list
        status, headers, body = 200, {}, (text or "").encode()
        if self.down:
            handler.close_connection = True
            self.requests.append((handler.path, 0))
            return
        if text is None:
            status, body = 404, b""
        elif self.etag and handler.path != "/jwks.json":
            headers["ETag"] = self.etag
            if handler.headers.get("If-None-Match") == self.etag:
                status, body = 304, b""
        self.requests.append((handler.path, status))
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()
