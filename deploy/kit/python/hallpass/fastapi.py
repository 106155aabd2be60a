"""Protects FastAPI applications: a dependency in place of the tutorial's get_current_user."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.requests import HTTPConnection, Request
from fastapi.responses import Response
from fastapi.security import OAuth2, SecurityScopes

from ._login import Login
from ._refusal import Refusal
from ._tokens import Caller
from .guard import Guard
from .starlette import authenticate, metadata_routes, response

__all__ = ["Caller", "Hallpass", "Login", "Refused"]


class Refused(HTTPException):
    """A refusal. FastAPI's own handler responds with it if ``install`` was not called."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.detail, refusal.headers)
        self.refusal = refusal


class _Dependency(OAuth2):
    """Is a dependency and, for the OpenAPI document, a security scheme."""

    def __init__(self, guard: Guard, scopes: Mapping[str, str], user: bool, login: Login | None = None) -> None:
        super().__init__(
            flows={"password": {"tokenUrl": guard.issuer + "/token", "scopes": dict(scopes)}},
            scheme_name="Hallpass",
            description="Log in with username and password; a client id and secret are for clients that have them.",
        )
        self.guard = guard
        self._user = user
        self._login = login

    async def __call__(  # type: ignore[override]
        self, request: HTTPConnection, security_scopes: SecurityScopes
    ) -> Caller:
        """Returns the caller, or raises Refused."""
        try:
            return await authenticate(self.guard, request.scope, security_scopes.scopes, self._user, self._login)
        except Refusal as refusal:
            raise Refused(refusal) from None


class Hallpass(_Dependency):
    """Checks access tokens: ``Depends(hallpass)``, or ``Security(hallpass, scopes=["items:read"])`` with scopes.

    The dependency returns a Caller. ``hallpass.user`` is the same for users only: it refuses a token that a client got
    for itself. ``hallpass.login(...)`` also refuses one of a login that is not good enough. ``scopes`` has the scopes
    of the API and what they allow, for the docs page and the metadata. The other arguments are those of Guard.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        scopes: Mapping[str, str] | None = None,
        keys_url: str | None = None,
        keys_file: str | os.PathLike[str] | None = None,
        token_secret: str | None = None,
        status_lists_url: str | None = None,
        scope_includes: Mapping[str, Iterable[str]] | None = None,
        allow_missing_status: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        guard = Guard(
            issuer=issuer,
            audience=audience,
            keys_url=keys_url,
            keys_file=keys_file,
            token_secret=token_secret,
            status_lists_url=status_lists_url,
            scope_includes=scope_includes,
            allow_missing_status=allow_missing_status,
            now=now,
        )
        self._scopes = dict(scopes or {})
        super().__init__(guard, self._scopes, user=False)
        self.user = _Dependency(guard, self._scopes, user=True)

    def login(self, acr_values: Sequence[str] = (), max_age: int | None = None) -> _Dependency:
        """Returns a dependency for users whose login is good enough (RFC 9470). The arguments are those of Login."""
        return _Dependency(self.guard, self._scopes, user=True, login=Login(acr_values, max_age))

    def install(self, app: FastAPI) -> None:
        """Serves the API's metadata (RFC 9728), and makes refusals problem documents (RFC 9457).

        Without it, the body of a refusal is FastAPI's, and its challenge names no metadata.
        """
        app.router.routes[:0] = metadata_routes(self.guard, self._scopes)
        app.add_exception_handler(Refused, _respond)


def _respond(_: Request, refused: Any) -> Response:
    return response(refused.refusal)
