"""Keys that verify tokens: a JWK Set with a schedule (RFC 7517), and how an API gets one.

Members that Hallpass adds to a key: ``exp`` is when the key stops to verify, and ``aud`` the API that it is bound to.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Protocol

import jwt.algorithms
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ._settings import RESERVED_AUDIENCE
from ._strict import base64url, json_object, number_member, text_member

MIN_SECRET = 32  # HS256 needs a key of at least the size of its hash (RFC 7518 section 3.2)
MIN_RSA = 2048  # RFC 7518 section 3.3
MAX_KEY_ID = 128
MAX_SECONDS = 253402300799  # the end of the year 9999
MAX_SET = 256 << 10
ID_TOKEN_AUDIENCE = RESERVED_AUDIENCE + "id-token:"

_HMAC, _ED25519, _ECDSA, _RSA = "HS256", "EdDSA", "ES256", "RS256"
ALGORITHMS = (_HMAC, _ED25519, _ECDSA, _RSA)
_VERIFIERS = jwt.algorithms.get_default_algorithms()  # type: ignore[no-untyped-call]

# The members of the public half, by the type of a key.
_PUBLIC = {"OKP": ("kty", "crv", "x"), "EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e")}
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth"))
_SAME_ID = "another key has the same kid"
_SECRET = _PRIVATE | {"k", "priv"}  # RFC 7518 section 6, RFC 9964 section 3


class BadKeysError(ValueError):
    """A JWK Set is not usable. The text never quotes it."""


class Key:
    """One key. It is immutable."""

    __slots__ = ("algorithm", "audience", "ends", "id", "is_private", "_material", "_text")

    def __init__(self, key_id: str, algorithm: str, material: Any, text: str, **members: Any) -> None:
        self.id = key_id
        self.algorithm = algorithm
        self.audience: str = members.get("audience", "")
        self.ends: float | None = members.get("ends")
        self.is_private: bool = members.get("is_private", False)
        self._material = material
        self._text = text

    def verifies_at(self, now: float) -> bool:
        """Reports whether the key verifies at a time."""
        return self.ends is None or now < self.ends

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Reports whether the signature is this key's."""
        return bool(_VERIFIERS[self.algorithm].verify(signed, self._material, signature))

    @property
    def for_id_tokens(self) -> bool:
        """Whether the key is for ID tokens, which no API accepts."""
        return self.audience.startswith(ID_TOKEN_AUDIENCE)

    def same_as(self, other: "Key") -> bool:
        """Reports whether both keys verify the same signatures for the same API."""
        return (self.algorithm, self.audience) == (other.algorithm, other.audience) and hmac.compare_digest(
            self._text, other._text
        )

    def __repr__(self) -> str:
        return f"key {self.id}"


class Ring:
    """A set of keys. It is immutable."""

    def __init__(self, keys: list[Key]) -> None:
        self.keys = tuple(keys)
        self._by_id = {key.id: key for key in keys}

    def verifier(self, key_id: str, now: float) -> Key | None:
        """Returns the key with an id if it verifies at a time."""
        key = self._by_id.get(key_id)
        return key if key is not None and key.verifies_at(now) else None

    def verifies(self, key: Key, now: float) -> bool:
        """Reports whether the key, not an equal one, is in the ring and verifies at a time."""
        return self._by_id.get(key.id) is key and key.verifies_at(now)

    def verifies_equal(self, key: Key, now: float) -> bool:
        """Reports whether the key or an equal one is in the ring and verifies at a time."""
        own = self.verifier(key.id, now)
        return own is not None and (own is key or own.same_as(key))

    def without_id_token_keys(self) -> "Ring":
        """Returns the ring of the other keys."""
        return Ring([key for key in self.keys if not key.for_id_tokens])

    @property
    def ends(self) -> float | None:
        """When the last key stops to verify; None if one has no end."""
        ends = [key.ends for key in self.keys]
        return None if not ends or None in ends else max(end for end in ends if end is not None)


class Source(Protocol):
    """Returns the ring to use now."""

    def current(self) -> Ring:
        """Returns the ring."""

    def pending(self) -> bool:
        """Reports whether there may be keys that were not read yet, and starts to read them."""


class Fixed:
    """A source that never changes."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def current(self) -> Ring:
        """Returns the ring."""
        return self._ring

    def pending(self) -> bool:
        """Returns False."""
        return False


Check = Callable[[Ring], None]


def from_secret(secret: str) -> Ring:
    """Returns a ring of one shared secret. Its kid is derived from it, so that all who share it use the same."""
    material = secret.encode("utf-8")
    if len(material) < MIN_SECRET:
        raise BadKeysError(
            f"key is too short: it has {len(material)} bytes, HS256 needs {MIN_SECRET} or more: make one with "
            "'openssl rand -hex 32'"
        )
    digest = hmac.digest(material, b"hallpass key id", hashlib.sha256)[:12]
    key_id = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return Ring([Key(key_id, _HMAC, material, material.hex())])


def parse(data: bytes) -> Ring:
    """Parses a JWK Set. The error is a BadKeysError."""
    raws = _parse_set(data)
    keys: dict[str, Key] = {}
    for number, raw in enumerate(raws, 1):
        try:
            key = _parse_key(raw)
        except BadKeysError as error:
            raise BadKeysError(f"key {number} of {len(raws)}: {error}") from None
        if key.id in keys:
            raise BadKeysError(f"key {number} of {len(raws)}: {_SAME_ID}")
        keys[key.id] = key
    if not keys:
        raise BadKeysError("it holds no keys")
    return Ring(list(keys.values()))


def _parse_set(data: bytes) -> list[Any]:
    no_set = 'it is not JSON of the form {"keys": [...]}'
    try:
        document = json_object(data)
    except ValueError as error:
        raise BadKeysError(f"{no_set}: {error}") from None
    raws = document.get("keys", [])
    if any(name != "keys" and name.lower() == "keys" for name in document) or not isinstance(raws, list):
        raise BadKeysError(no_set)
    return raws


def _parse_key(jwk: Any) -> Key:
    """Parses an element of a JWK Set. The error is a BadKeysError, and never quotes it."""
    try:
        if isinstance(jwk, dict):
            return _parse_members(jwk)
        reason = "it is not an object"
    except (ValueError, TypeError, KeyError, OverflowError, jwt.InvalidKeyError) as error:
        reason = str(error) if type(error) is ValueError else "it is not a JWK that is supported"
    raise BadKeysError(reason)


def _parse_members(jwk: dict[str, Any]) -> Key:
    key_id = text_member(jwk, "kid")
    if not 0 < len(key_id.encode()) <= MAX_KEY_ID:
        raise ValueError(f"it has no kid, or one of more than {MAX_KEY_ID} bytes")
    algorithm, material, text = _material(jwk)
    if text_member(jwk, "alg") not in ("", algorithm):
        raise ValueError(f"its alg is not {algorithm}")
    if text_member(jwk, "use") not in ("", "sig"):
        raise ValueError("its use is not sig")
    return Key(
        key_id,
        algorithm,
        material,
        text,
        audience=text_member(jwk, "aud"),
        ends=_schedule(jwk),
        is_private=algorithm == _HMAC or not _PRIVATE.isdisjoint(jwk),
    )


def _schedule(jwk: dict[str, Any]) -> float | None:
    """Returns the end of a key. Zero is refused: it must not mean a key without an end."""
    for name in ("nbf", "exp"):
        at = number_member(jwk, name)
        if at is not None and (not isinstance(at, int) or not 0 < at <= MAX_SECONDS):
            raise ValueError("its nbf or exp is not in seconds since 1970")
    return number_member(jwk, "exp")


def _material(jwk: dict[str, Any]) -> tuple[str, Any, str]:
    """Returns the algorithm that goes with the type of a key, its public half or secret, and a text of that."""
    kind, curve = text_member(jwk, "kty"), text_member(jwk, "crv")
    if kind == "oct":
        secret = base64url(text_member(jwk, "k").encode())
        if len(secret) < MIN_SECRET:
            raise ValueError(f"key is too short: it has {len(secret)} bytes, HS256 needs {MIN_SECRET}")
        return _HMAC, secret, secret.hex()
    algorithm = {("OKP", "Ed25519"): _ED25519, ("EC", "P-256"): _ECDSA, ("RSA", ""): _RSA}.get((kind, curve))
    if algorithm is None:
        raise ValueError("its type is not supported")
    public = {name: text_member(jwk, name) for name in _PUBLIC[kind]}
    text = json.dumps(public, sort_keys=True)
    material = _VERIFIERS[algorithm].from_jwk(text)
    if isinstance(material, RSAPublicKey) and material.key_size < MIN_RSA:
        raise ValueError(f"key is too short: it is an RSA key of {material.key_size} bits, RS256 needs {MIN_RSA}")
    return algorithm, material, text


def parse_public(data: bytes) -> tuple[Ring, list[str]]:
    """Parses a published JWK Set. It returns its keys for access tokens, and why each other key is ignored.

    A set may have keys for encryption, and of types or algorithms that are not supported (RFC 7517 section 5). Weak
    and malformed keys are ignored too: while a whole set is refused, the previous keys stay in use, and with them a key
    that was withdrawn. A secret or a private key is an error: it is no longer secret. So is a kid that two of the keys
    in use have.
    """
    raws = _parse_set(data)
    keys: dict[str, Key] = {}
    ignored: list[str] = []
    for number, raw in enumerate(raws, 1):
        where = f"key {number} of {len(raws)}"
        if isinstance(raw, dict) and _holds_secret(raw):
            raise BadKeysError(f"{where}: it is not a public key")
        try:
            key = _parse_key(raw)
        except BadKeysError as error:
            ignored.append(f"{where}: {error}")
            continue
        if key.id in keys:
            raise BadKeysError(f"{where}: {_SAME_ID}")
        keys[key.id] = key
    return Ring(list(keys.values())).without_id_token_keys(), ignored


def _holds_secret(jwk: dict[str, Any]) -> bool:
    """Reports whether a JWK is a shared secret or has a private part, also if its type is not supported."""
    return jwk.get("kty") == "oct" or any(jwk.get(name) is not None for name in _SECRET)


def check_bindings(ring: Ring, audience: str) -> None:
    """Refuses keys with which the API of this audience could sign tokens for another one."""
    for key in ring.keys:
        if key.audience not in ("", audience) and not key.for_id_tokens:
            raise BadKeysError(
                f"it holds the secret of another API, {key.audience}, which this one must not have: "
                "'authserver key export' makes a file without it"
            )
    own = any(key.audience == audience for key in ring.keys)
    if own and any(not key.audience and key.algorithm == _HMAC for key in ring.keys):
        raise BadKeysError(
            f"it holds the secret of the default API beside that of {audience}, which must not have it: "
            f"'authserver key export --api {audience}' makes a file without it"
        )


