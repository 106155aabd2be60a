"""The response to a request that is not let through."""

import json
from http import HTTPStatus

from ._login import Login

PROBLEM_TYPE = "application/problem+json"

NOT_AUTHENTICATED = "Not authenticated"
INVALID_TOKEN = "Could not validate credentials"
TWO_TOKENS = "The access token must be sent once, in one Authorization header"
SCOPE = "The access token lacks a scope that this needs"
LOGIN = "The user must log in again, with more factors or more recently"
UNAVAILABLE = "The access token cannot be checked right now"


class Refusal(Exception):
    """The response to a request that is not let through.

    ``status`` is 400, 401, 403 or 503, ``code`` the error code (RFC 6750 section 3.1, RFC 9470 section 3) and
    ``detail`` a text for the developer of the client. ``login`` is what the user must do again. ``reason`` says why,
    for the log: it is never sent.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        reason: str,
        scope: tuple[str, ...],
        audience: str,
        metadata: str,
        login: Login = Login(),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.reason = reason
        self.scope = scope
        self.audience = audience
        self.metadata = metadata
        self.login = login

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate (RFC 6750 section 3, RFC 9728 section 5.1); empty with 503."""
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return ""
        attributes = {
            "realm": self.audience,
            "error": self.code,
            "error_description": self.detail if self.code else "",
            "scope": " ".join(self.scope),
            "acr_values": " ".join(self.login.acr_values),
            "max_age": str(self.login.max_age or ""),
            "resource_metadata": self.metadata,
        }
        return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in attributes.items() if value)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response, without Content-Type."""
        headers = {"Cache-Control": "no-store"}
        if self.challenge:
            headers["WWW-Authenticate"] = self.challenge
        else:
            headers["Retry-After"] = "1"
        return headers

    @property
    def body(self) -> bytes:
        """A problem document (RFC 9457), of the type PROBLEM_TYPE."""
        document = {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}
        return json.dumps(document, separators=(",", ":")).encode()


def _quotable(text: str) -> str:
    """Replaces the characters that RFC 6750 section 3 does not allow in an attribute."""
    return "".join("'" if c == '"' else c if " " <= c <= "~" and c != "\\" else "?" for c in text)
