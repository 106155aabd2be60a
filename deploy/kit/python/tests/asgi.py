"""A client of ASGI applications: the test clients of the frameworks need httpx."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple


class Response(NamedTuple):
    """A response of an application."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body, decoded."""
        return json.loads(self.body)


async def send(app: Any, path: str, *authorization: str, query: str = "", method: str = "GET") -> Response:
    """Sends a request to an application."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(b"host", b"api.example.com")] + [(b"authorization", value.encode()) for value in authorization],
        "client": ("127.0.0.1", 1), "server": ("api.example.com", 80),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def collect(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, collect)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Response(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


def call(app: Any, path: str, *authorization: str, query: str = "", method: str = "GET") -> Response:
    """Is send for code that is no coroutine."""
    return asyncio.run(send(app, path, *authorization, query=query, method=method))


async def connect(app: Any, path: str, headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Opens a WebSocket and returns the types of the messages that the application sends."""
    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": list(headers), "subprotocols": [],
        "client": ("127.0.0.1", 1), "server": ("api.example.com", 80),
    }  # fmt: skip
    sent: list[str] = []
    received: list[dict[str, Any]] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    messages = iter(received)

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def collect(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    await app(scope, receive, collect)
    return sent
