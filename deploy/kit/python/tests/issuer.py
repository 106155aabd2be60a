"""Signs tokens and lists with the private keys of the test vectors."""

import base64
import json
import pathlib
import time
import zlib
from collections.abc import Collection
from typing import Any

import jwt

KEYS = {
    key["kid"]: key
    for key in json.loads((pathlib.Path(__file__).parents[2] / "vectors" / "keys.json").read_text("utf-8"))["keys"]
}
ALL = jwt.algorithms.get_default_algorithms()  # type: ignore[no-untyped-call]
ALGORITHMS = {"OKP": "EdDSA", "EC": "ES256", "RSA": "RS256", "oct": "HS256"}

ISSUER = "https://login.example.com"
AUDIENCE = "https://api.example.com"
LIST = ISSUER + "/status-lists/0"


def sign(kid: str, typ: str, claims: dict[str, Any]) -> str:
    """Returns claims, signed with a key."""
    jwk = KEYS[kid]
    algorithm = ALGORITHMS[jwk["kty"]]
    key = ALL[algorithm].from_jwk(json.dumps(jwk))
    return jwt.encode(claims, key, algorithm, {"kid": kid, "typ": typ})


def token(kid: str = "ed", **changed: Any) -> str:
    """Returns an access token."""
    now = int(time.time())
    claims = {
        "iss": ISSUER, "sub": "usr_1", "aud": AUDIENCE, "client_id": "web", "jti": "1", "iat": now, "exp": now + 1800,
        "scope": "profile items:read", "preferred_username": "john.doe", "name": "John Doe",
        "status": {"status_list": {"idx": 1, "uri": LIST}},
    }  # fmt: skip
    return sign(kid, "at+jwt", claims | changed)


def signed_list(kid: str = "ed", revoked: Collection[int] = (), **changed: Any) -> str:
    """Returns a status list of 64 bits."""
    bits = bytearray(8)
    for index in revoked:
        bits[index >> 3] |= 1 << (index & 7)
    now = int(time.time())
    lst = base64.urlsafe_b64encode(zlib.compress(bytes(bits), 9)).decode().rstrip("=")
    claims = {"sub": LIST, "iat": now, "exp": now + 600, "ttl": 1, "status_list": {"bits": 1, "lst": lst}}
    return sign(kid, "statuslist+jwt", claims | changed)


def key_set(*kids: str, **members: Any) -> str:
    """Returns a JWK Set of the public halves, or the secrets."""
    private = ("d", "p", "q", "dp", "dq", "qi")
    return json.dumps(
        {"keys": [{name: value for name, value in KEYS[kid].items() if name not in private} | members for kid in kids]}
    )
