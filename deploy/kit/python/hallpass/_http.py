"""A small HTTP client for background threads. It keeps its connection open: lists are fetched twice a second."""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit


class Response(NamedTuple):
    """A response: its status, its ETag ("" if absent) and its body."""

    status: int
    etag: str
    body: bytes

    def require_ok(self) -> None:
        """Raises an OSError for every status but 200."""
        if self.status != 200:
            raise OSError(f"the response is {self.status} {http.client.responses.get(self.status, '')}".strip())


class Client:
    """Requests one URL. It follows no redirect. It is not safe for concurrent use.

    ``timeout`` is how long a whole response may take, and ``silence`` how long the server may send nothing, in seconds.
    """

    def __init__(self, url: str, timeout: float, silence: float) -> None:
        parts = urlsplit(url)
        self._timeout = timeout
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname or ""
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(host, parts.port, timeout=silence, context=context)
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=silence)

    def get(self, headers: Mapping[str, str], limit: int) -> Response:
        """Sends a GET request and reads at most limit bytes. The error is an OSError."""
        reused = self._connection.sock is not None
        try:
            return self._get(headers, limit)
        except ConnectionError:  # the server has closed the connection since the last request
            if not reused:
                raise
        return self._get(headers, limit)

    def _get(self, headers: Mapping[str, str], limit: int) -> Response:
        late = threading.Event()
        # The timeout of the socket is for each read: a server that sends a byte now and then would hold the thread.
        timer = threading.Timer(self._timeout, self._abort, [late])
        timer.daemon = True
        timer.start()
        try:
            self._connection.request("GET", self._target, headers=dict(headers))
            response = self._connection.getresponse()
            body = response.read(limit + 1)
            if late.is_set():
                raise OSError("the response takes too long")
            if len(body) > limit:
                raise OSError("the response is too large")
            return Response(response.status, response.headers.get("ETag", ""), body)
        except http.client.RemoteDisconnected:
            self.close()
            raise
        except http.client.HTTPException as error:
            self.close()
            raise OSError(f"the response is not HTTP: {type(error).__name__}") from None
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()

    def _abort(self, late: threading.Event) -> None:
        """Ends a request that takes too long."""
        late.set()
        sock = self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already

    def close(self) -> None:
        """Closes the connection. The next request opens another one."""
        self._connection.close()
