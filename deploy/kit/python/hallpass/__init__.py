"""Protects an API with access tokens of a Hallpass authorization server.

* ``hallpass.fastapi.Hallpass`` is a dependency for FastAPI.
* ``hallpass.starlette`` has a middleware and a decorator for Starlette and other ASGI applications.
* ``Guard`` is for other frameworks.

No request waits for the authorization server: tokens are checked with keys and lists of revoked tokens that background
threads keep fresh. Only the first request waits for them.
"""

from ._login import Login
from ._refusal import Refusal
from ._tokens import Caller, Status
from .errors import ConfigError, InvalidToken, TokenError, Unavailable
from .guard import Guard

__all__ = ["Caller", "ConfigError", "Guard", "InvalidToken", "Login", "Refusal", "Status", "TokenError", "Unavailable"]
