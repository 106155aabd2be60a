"""The adapters for FastAPI and Starlette."""

import asyncio
import time
from typing import Any

from fastapi import Depends, FastAPI, Security, WebSocket
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from hallpass import Guard, Login
from hallpass.fastapi import Caller, Hallpass
from hallpass.starlette import HallpassMiddleware, caller, metadata_routes, requires

from . import issuer
from .asgi import Response, call, connect, send
from .test_guard import GuardTest

METADATA = issuer.AUDIENCE + "/.well-known/oauth-protected-resource"
SCOPES = {"items:read": "Read items", "profile": "Read names"}


class TestFastAPI(GuardTest):
    """The dependency."""

    def setUp(self) -> None:
        """Makes an application."""
        super().setUp()
        self.hallpass = Hallpass(
            issuer=issuer.ISSUER, audience=issuer.AUDIENCE, keys_url=self.server.url + "/jwks.json",
            status_lists_url=self.server.url + "/status-lists", scopes=SCOPES,
        )  # fmt: skip
        self.addCleanup(self.hallpass.guard.close)
        self.app = self.make_app()

    def make_app(self) -> FastAPI:
        app, hallpass = FastAPI(), self.hallpass

        @app.get("/items/{item_id}")
        async def read_item(item_id: int, reader: Caller = Security(hallpass, scopes=["items:read"])) -> Any:
            return {"item_id": item_id, "owner": reader.username}

        @app.get("/users/me")
        def read_me(user: Caller = Security(hallpass.user, scopes=["profile"])) -> Any:
            return {"username": user.username, "full_name": user.name}

        @app.get("/any")
        async def read_any(reader: Caller = Depends(hallpass)) -> Any:
            return {"subject": reader.subject}

        @app.post("/pay")
        async def pay(user: Caller = Security(hallpass.login(["2"], 300), scopes=["items:read"])) -> Any:
            return {"acr": user.acr, "methods": user.methods}

        @app.websocket("/ws")
        async def socket(websocket: WebSocket, reader: Caller = Depends(hallpass)) -> None:
            await websocket.accept()
            await websocket.close()

        return app

    def test_accepted(self) -> None:
        """A handler learns who calls, whether it is a coroutine or not."""
        bearer = "Bearer " + issuer.token()
        self.assertEqual(call(self.app, "/items/42", bearer).json(), {"item_id": 42, "owner": "john.doe"})
        me = {"username": "john.doe", "full_name": "John Doe"}
        self.assertEqual(call(self.app, "/users/me", bearer).json(), me)
        self.assertEqual(call(self.app, "/any", "Bearer " + issuer.token(scope="")).json(), {"subject": "usr_1"})

    def test_refused(self) -> None:
        """Refusals are problem documents with a challenge that names the metadata."""
        self.hallpass.install(self.app)
        narrow, service = issuer.token(scope="profile"), issuer.token(sub="worker")
        for path, token, status, detail, error in (
            ("/items/42", "", 401, "Not authenticated", ""),
            ("/items/abc", "", 401, "Not authenticated", ""),
            ("/items/42", "hunter2", 401, "Could not validate credentials", "invalid_token"),
            ("/users/me", service, 401, "Could not validate credentials", "invalid_token"),
            ("/items/42", narrow, 403, "The access token lacks a scope that this needs", "insufficient_scope"),
        ):
            with self.subTest(path=path, status=status):
                got = call(self.app, path, *(["Bearer " + token] if token else []))
                self.assertEqual((got.status, got.json()["detail"]), (status, detail))
                self.assertEqual(got.headers["content-type"], "application/problem+json")
                self.assertEqual(got.headers["cache-control"], "no-store")
                scope = "profile" if path == "/users/me" else "items:read"
                challenge = got.headers["www-authenticate"]
                self.assertTrue(challenge.startswith(f'Bearer realm="{issuer.AUDIENCE}"'), challenge)
                self.assertTrue(challenge.endswith(f'scope="{scope}", resource_metadata="{METADATA}"'), challenge)
                self.assertEqual(f'error="{error}"' in challenge, bool(error))

    def test_login(self) -> None:
        """A login that is not good enough is refused with what the client has to ask for (RFC 9470)."""
        now = int(time.time())
        good = issuer.token(acr="2", amr=["pwd", "otp"], auth_time=now)
        got = call(self.app, "/pay", "Bearer " + good, method="POST")
        self.assertEqual(got.json(), {"acr": "2", "methods": ["pwd", "otp"]})
        for token in issuer.token(), issuer.token(acr="1", auth_time=now), issuer.token(acr="2", auth_time=now - 3600):
            got = call(self.app, "/pay", "Bearer " + token, method="POST")
            self.assertEqual(got.status, 401)
            self.assertIn('error="insufficient_user_authentication"', got.headers["www-authenticate"])
            self.assertIn('scope="items:read", acr_values="2", max_age="300"', got.headers["www-authenticate"])
        service = issuer.token(sub="worker", acr="2", auth_time=now)
        got = call(self.app, "/pay", "Bearer " + service, method="POST")
        self.assertIn('error="invalid_token"', got.headers["www-authenticate"])

    def test_refused_without_install(self) -> None:
        """Without install the body is FastAPI's. The challenge names no metadata."""
        got = call(self.app, "/items/42")
        self.assertEqual((got.status, got.json()), (401, {"detail": "Not authenticated"}))
        challenge = f'Bearer realm="{issuer.AUDIENCE}", scope="items:read"'
        self.assertEqual(got.headers["www-authenticate"], challenge)

    def test_unavailable(self) -> None:
        """A token that cannot be checked gets a 503 without a challenge. Meanwhile other requests are handled."""
        self.server.list = None
        self.hallpass.install(self.app)
        got = call(self.app, "/items/42", "Bearer " + issuer.token())
        self.assertEqual((got.status, got.headers["retry-after"]), (503, "1"))
        self.assertNotIn("www-authenticate", got.headers)

    def test_first_requests_wait_without_blocking(self) -> None:
        """Requests that wait for the first fetch do not block the event loop."""
        self.server.delay = 0.2

        async def both() -> Response:
            first = asyncio.create_task(send(self.app, "/items/42", "Bearer " + issuer.token()))
            await asyncio.sleep(0.01)
            await send(self.app, "/items/42")
            self.assertFalse(first.done())
            return await first

        self.assertEqual(asyncio.run(both()).status, 200)

    def test_metadata(self) -> None:
        """The metadata names the authorization server and the scopes, for scripts of every origin."""
        self.hallpass.install(self.app)
        path = "/.well-known/oauth-protected-resource"
        got = call(self.app, path)
        want = {
            "resource": issuer.AUDIENCE, "authorization_servers": [issuer.ISSUER],
            "scopes_supported": ["items:read", "profile"], "bearer_methods_supported": ["header"],
        }  # fmt: skip
        self.assertEqual((got.status, got.json()), (200, want))
        self.assertEqual(got.headers["access-control-allow-origin"], "*")
        self.assertEqual(call(self.app, path, method="OPTIONS").headers["access-control-allow-headers"], "*")
        self.assertEqual(call(self.app, path, method="POST").status, 405)

    def test_openapi(self) -> None:
        """The docs page logs in at the authorization server, and shows the scopes of each operation."""
        self.hallpass.install(self.app)
        document = self.app.openapi()
        (name, scheme), = document["components"]["securitySchemes"].items()
        self.assertEqual(scheme["flows"]["password"], {"tokenUrl": issuer.ISSUER + "/token", "scopes": SCOPES})
        self.assertEqual(document["paths"]["/items/{item_id}"]["get"]["security"], [{name: ["items:read"]}])
        self.assertEqual(document["paths"]["/users/me"]["get"]["security"], [{name: ["profile"]}])
        self.assertNotIn("/.well-known/oauth-protected-resource", document["paths"])

    def test_websocket(self) -> None:
        """A WebSocket is accepted with a token, and not without one."""
        bearer = [(b"authorization", b"Bearer " + issuer.token().encode())]
        self.assertIn("websocket.accept", asyncio.run(connect(self.app, "/ws", bearer)))
        self.assertNotIn("websocket.accept", asyncio.run(connect(self.app, "/ws", [])))


async def show(request: Request) -> JSONResponse:
    """Shows the caller."""
    return JSONResponse({"subject": caller(request).subject})


async def health(_: Request) -> JSONResponse:
    """Needs no token."""
    return JSONResponse({"status": "ok"})


class TestStarlette(GuardTest):
    """The middleware and the decorator."""

    def app(self, guard: Guard) -> Starlette:
        """Returns an application."""
        protected = Middleware(HallpassMiddleware, guard=guard, scopes=["items:read"])
        reports = requires(guard, "profile", user=True)(show)
        pay = requires(guard, login=Login(["2"]))(show)
        recent = Middleware(HallpassMiddleware, guard=guard, login=Login(max_age=300))
        return Starlette(
            routes=[
                Route("/pay", pay),
                Mount("/recent", routes=[Route("/42", show)], middleware=[recent]),
                *metadata_routes(guard, ["profile", "items:read"]),
                Route("/reports", reports),
                Route("/health", health),
                Mount("/items", routes=[Route("/42", show)], middleware=[protected]),
            ]
        )

    def test_requests(self) -> None:
        """Routes and mounts are protected, each with its scopes."""
        app = self.app(self.open())
        tokens = issuer.token(), issuer.token(scope="items:read"), issuer.token(sub="worker")
        good, narrow, service = ("Bearer " + token for token in tokens)
        for path, authorization, status in (
            ("/health", (), 200),
            ("/reports", (good,), 200),
            ("/reports", (), 401),
            ("/reports", (service,), 401),
            ("/reports", (narrow,), 403),
            ("/reports", (good, good), 400),
            ("/items/42", (good,), 200),
            ("/items/42", (service,), 200),
            ("/items/42", (), 401),
        ):
            with self.subTest(path=path, status=status):
                got = call(app, path, *authorization)
                self.assertEqual(got.status, status, got.body)
                if status != 200:
                    self.assertEqual(got.headers["content-type"], "application/problem+json")
                    self.assertIn(f'resource_metadata="{METADATA}"', got.headers["www-authenticate"])

    def test_login(self) -> None:
        """Routes and mounts ask for the login that they need (RFC 9470)."""
        app, now = self.app(self.open()), int(time.time())
        cases: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("/pay", {"acr": "2"}, ""),
            ("/pay", {"acr": "1"}, 'acr_values="2"'),
            ("/recent/42", {"auth_time": now}, ""),
            ("/recent/42", {"auth_time": now - 3600}, 'max_age="300"'),
        )
        for path, claims, challenge in cases:
            with self.subTest(path=path, claims=claims):
                got = call(app, path, "Bearer " + issuer.token(**claims))
                self.assertEqual(got.status, 401 if challenge else 200, got.body)
                self.assertIn(challenge, got.headers.get("www-authenticate", ""))

    def test_whole_application(self) -> None:
        """The middleware protects a whole application, also its WebSockets, except public paths."""
        app = HallpassMiddleware(self.app(self.open()), self.open(), public=["/health"])
        self.assertEqual(call(app, "/health").status, 200)
        self.assertEqual(call(app, "/.well-known/oauth-protected-resource").status, 200)
        self.assertEqual(call(app, "/nothing").status, 401)
        self.assertEqual(call(app, "/nothing", "Bearer " + issuer.token()).status, 404)
        self.assertEqual(asyncio.run(connect(app, "/ws", [])), ["websocket.close"])

    def test_empty_path(self) -> None:
        """An API without metadata, whose identifier is no URL, has no public path, and no empty one either."""
        guard = Guard(issuer=issuer.ISSUER, audience="urn:example:api", token_secret="x" * 32)
        self.addCleanup(guard.close)
        self.assertEqual(call(HallpassMiddleware(self.app(guard), guard), "").status, 401)
