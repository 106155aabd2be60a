"""Protects Starlette and other ASGI applications."""

import functools
import time
from collections.abc import Awaitable, Callable, Collection, Iterable

import anyio
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ._login import Login
from ._refusal import PROBLEM_TYPE, Refusal
from ._settings import metadata_path
from ._tokens import Caller
from ._tracker import NotTriedYet
from .guard import MAX_WAIT, Guard

POLL = 0.02  # seconds between two looks at whether the first fetch is over

Endpoint = Callable[[Request], Awaitable[Response]]


async def authenticate(
    guard: Guard, scope: Scope, scopes: Collection[str] = (), user: bool = False, login: Login | None = None
) -> Caller:
    """Returns the caller of an ASGI request, or raises a Refusal. It does not block the event loop."""
    authorization = [value for name, value in scope["headers"] if name == b"authorization"]
    query = scope["query_string"]
    try:
        return guard.check(authorization, query, scopes, user, login)
    except NotTriedYet as first:
        waiting = first
    deadline = time.monotonic() + MAX_WAIT
    while True:
        while not waiting.event.is_set():
            if time.monotonic() > deadline:
                raise guard.unavailable(waiting.error)
            await anyio.sleep(POLL)
        try:
            return guard.check(authorization, query, scopes, user, login)
        except NotTriedYet as more:
            waiting = more


def response(refusal: Refusal) -> Response:
    """Returns a refusal as a response: a challenge (RFC 6750) and a problem document (RFC 9457)."""
    return Response(refusal.body, refusal.status, refusal.headers, PROBLEM_TYPE)


def caller(request: HTTPConnection) -> Caller:
    """Returns the caller of a request that passed the middleware or ``requires``."""
    found: Caller = request.scope["hallpass.caller"]
    return found


class HallpassMiddleware:
    """Lets a request through if its token is valid and has all scopes. It protects an application or a Mount.

    ``user`` also refuses a token that a client got for itself, and ``login`` one of a login that is not good enough
    (RFC 9470). Requests to the paths in ``public`` need no token, nor
    do those for the API's metadata.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard: Guard,
        scopes: Collection[str] = (),
        user: bool = False,
        public: Collection[str] = (),
        login: Login | None = None,
    ) -> None:
        self.app = app
        self.guard = guard
        self.scopes = tuple(scopes)
        self.user = user
        self.login = login
        # An identifier that is no http URL has no metadata, and an empty path must not be public.
        self.public = frozenset(path for path in (*public, metadata_path(guard.audience)) if path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request. A WebSocket that is refused is closed before it is accepted."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in self.public:
            await self.app(scope, receive, send)
            return
        try:
            scope["hallpass.caller"] = await authenticate(self.guard, scope, self.scopes, self.user, self.login)
        except Refusal as refusal:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await response(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def requires(
    guard: Guard, *scopes: str, user: bool = False, login: Login | None = None
) -> Callable[[Endpoint], Endpoint]:
    """Returns a decorator that lets a request reach an endpoint if its token is valid and has all scopes.

    ``user`` and ``login`` are those of HallpassMiddleware.
    """

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def protected(request: Request) -> Response:
            try:
                request.scope["hallpass.caller"] = await authenticate(guard, request.scope, scopes, user, login)
            except Refusal as refusal:
                return response(refusal)
            return await endpoint(request)

        return protected

    return decorate


def metadata_routes(guard: Guard, scopes: Iterable[str]) -> list[Route]:
    """Returns the route of the API's metadata (RFC 9728), with the scopes that it has.

    Clients that know only the API find the authorization server there. Scripts of every origin may read it. The list
    is empty for an audience that is no http(s) URL.
    """
    path, body = guard.serve_metadata(scopes)
    if not path:
        return []

    async def metadata(request: Request) -> Response:
        if request.method == "OPTIONS":
            allowed = {"Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": "*"}
            return Response(status_code=204, headers={"Access-Control-Allow-Origin": "*", **allowed})
        return Response(body, headers={"Access-Control-Allow-Origin": "*"}, media_type="application/json")

    return [Route(path, metadata, methods=["GET", "HEAD", "OPTIONS"], include_in_schema=False)]
