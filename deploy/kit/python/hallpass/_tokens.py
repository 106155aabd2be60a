"""Verifies access tokens (RFC 9068), once each, and remembers those that are valid."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._jws import verify
from ._keys import MAX_SECONDS, Key, Source
from ._settings import parse_scope
from ._strict import json_object, number_member, object_member, text_list_member, text_member
from ._tracker import StatusLists
from .errors import InvalidToken

TYPE = "at+jwt"
USER_PREFIX = "usr_"  # begins the subject of every token that is issued for a user
MAX_LENGTH = 8 << 10
LEEWAY = 5  # seconds that clocks may differ
MAX_AHEAD = 3600  # how far in the future iat may be
CACHE_SIZE = 8 << 10


@dataclass(frozen=True, slots=True)
class Status:
    """Refers to the bit that revokes a token: its index in the list at a URI."""

    index: int
    uri: str


@dataclass(frozen=True, slots=True)
class Caller:
    """What a valid access token says. It is shared between requests."""

    #: Id of the user, or of the client where no user is involved. It never changes: store it as the owner of a record.
    subject: str
    #: The client that the token was issued to.
    client_id: str
    #: What the token allows.
    scope: tuple[str, ...]
    #: The user's names. They are empty without the scope profile, and in a token that a client got for itself.
    username: str
    name: str
    #: The groups that the user is in. There are none without the scope groups.
    groups: tuple[str, ...]
    #: The clients that act for the user, the latest first (RFC 8693 section 4.1). Only the first matters for access.
    actors: tuple[str, ...]
    issuer: str
    #: The identifiers of the APIs that the token is for.
    audience: tuple[str, ...]
    #: Id of the token (jti).
    token_id: str
    #: The class of the user's login: "1" for one factor, "2" for two. methods are those of the login (amr, RFC 8176),
    #: and auth_time is when it was, in seconds since 1970. A token that a client got for itself has none of them.
    acr: str
    methods: tuple[str, ...]
    auth_time: int | None
    #: Times in seconds since 1970. not_before is None if the claim is absent.
    issued_at: int
    expires_at: int
    not_before: int | None
    #: The bit that revokes the token; None if it refers to none.
    status: Status | None

    @property
    def is_user(self) -> bool:
        """Whether the token was issued for a user, and not to a client for itself."""
        return self.subject.startswith(USER_PREFIX)


def parse_claims(payload: bytes) -> Caller:
    """Returns the claims of RFC 9068 section 2.2. The error is an InvalidToken."""
    try:
        claims = json_object(payload)
        times = {name: number_member(claims, name) for name in ("iat", "exp", "nbf", "auth_time")}
        texts = {name: text_member(claims, name) for name in ("iss", "sub", "client_id", "jti")}
        audience = _audience(claims)
        scope, username, name = (text_member(claims, key) for key in ("scope", "preferred_username", "name"))
        acr, methods = text_member(claims, "acr"), text_list_member(claims, "amr")
        groups = text_list_member(claims, "groups")
        actors, status = _actors(claims), _status(claims)
    except ValueError as error:
        raise InvalidToken("bad_claims", f"its claims: {error}") from None
    missing = [name for name, value in texts.items() if not value] + ["aud"] * (not audience)
    missing += [name for name in ("iat", "exp") if times[name] is None]
    if missing:
        raise InvalidToken("missing_claim", f"the claim {missing[0]} is missing")
    if claims.get("cnf") is not None:
        # RFC 7800 section 3.1: a thief may send it as a bearer token. This kit verifies no proofs of possession.
        raise InvalidToken("bound", "it is bound to a key (cnf)")
    try:
        scopes = parse_scope(scope)
        issued, expires, begins, login = (_seconds(times[name]) for name in ("iat", "exp", "nbf", "auth_time"))
    except ValueError as error:
        raise InvalidToken("bad_claims", str(error)) from None
    assert issued is not None and expires is not None
    return Caller(
        texts["sub"], texts["client_id"], scopes, username, name, tuple(groups), tuple(actors),
        texts["iss"], tuple(audience), texts["jti"], acr, tuple(methods), login, issued, expires, begins, status,
    )  # fmt: skip


def _audience(claims: dict[str, Any]) -> list[str]:
    audience = claims.get("aud")
    if isinstance(audience, str):
        return [audience]
    return text_list_member(claims, "aud")


def _seconds(at: float | None) -> int | None:
    """Returns a time without its fraction."""
    if at is None:
        return None
    if not 0 <= at <= MAX_SECONDS:
        raise ValueError("exp, nbf, iat or auth_time is not a time between 1970 and 9999")
    return int(at)


def _actors(claims: dict[str, Any]) -> list[str]:
    actors = []
    actor = object_member(claims, "act")
    while actor is not None:
        actors.append(text_member(actor, "sub"))
        if not actors[-1]:
            raise ValueError("its act has no sub")
        actor = object_member(actor, "act")
    return actors


def _status(claims: dict[str, Any]) -> Status | None:
    status = object_member(claims, "status")
    reference = object_member(status, "status_list") if status is not None else None
    if reference is None:
        return None
    index, uri = number_member(reference, "idx"), reference.get("uri")
    if index is None or uri is None:
        raise ValueError("its status_list has no idx or no uri")
    if not isinstance(index, int) or not -(1 << 63) <= index < 1 << 63:
        raise ValueError("a member has the wrong type")
    return Status(index, text_member(reference, "uri"))


@dataclass(frozen=True, slots=True)
class Verified:
    """A token whose syntax, signature and claims are valid."""

    caller: Caller
    key: Key
    granted: frozenset[str]  # its scope, with the scopes that those include


class Cache:
    """Holds verified tokens in two generations: when the young one is full it becomes the old one.

    Tokens in use stay. A token is known by its hash, so that a dump of the memory has no usable one.
    """

    def __init__(self, size: int) -> None:
        self._half = size // 2
        self._young: dict[bytes, Verified] = {}
        self._old: dict[bytes, Verified] = {}

    def get(self, digest: bytes) -> Verified | None:
        """Returns a token."""
        found = self._young.get(digest)
        if found is None:
            found = self._old.get(digest)
            if found is not None:
                self.put(digest, found)
        return found

    def put(self, digest: bytes, verified: Verified) -> None:
        """Adds a token."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[digest] = verified


class Verifier:
    """Verifies tokens of one issuer for one API."""

    def __init__(
        self,
        keys: Source,
        lists: StatusLists,
        issuer: str,
        audience: str,
        includes: Mapping[str, frozenset[str]],
        allow_missing_status: bool,
        now: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._lists = lists
        self._issuer = issuer
        self._audience = audience
        self._includes = includes
        self._allow_missing_status = allow_missing_status
        self._now = now
        self._cache = Cache(CACHE_SIZE)

    def verify(self, raw: bytes) -> Verified:
        """Returns a valid token. It raises InvalidToken, Unavailable or NotTriedYet, and never waits."""
        now = self._now()
        digest = hashlib.sha256(raw).digest()
        found = self._cache.get(digest)
        if found is None or not self._keys.current().verifies(found.key, now):
            found = self._verify(raw, now)
            self._cache.put(digest, found)
        caller = found.caller
        if now >= caller.expires_at + LEEWAY:
            raise InvalidToken("expired", "it has expired")
        if caller.status is not None and self._lists.revoked(caller.status.uri, caller.status.index):
            raise InvalidToken("revoked", "it has been revoked")
        return found

    def _verify(self, raw: bytes, now: float) -> Verified:
        if len(raw) > MAX_LENGTH:
            raise InvalidToken("too_long", f"it is longer than {MAX_LENGTH} bytes")
        payload, key = verify(self._keys, raw, TYPE, now)
        caller = parse_claims(payload)
        self._check(caller, key, now)
        granted = frozenset(caller.scope).union(*(self._includes.get(scope, ()) for scope in caller.scope))
        return Verified(caller, key, granted)

    def _check(self, caller: Caller, key: Key, now: float) -> None:
        if now >= caller.expires_at + LEEWAY:
            raise InvalidToken("expired", "it has expired")
        if caller.not_before is not None and now < caller.not_before - LEEWAY:
            raise InvalidToken("not_yet_valid", "it is not valid yet")
        if caller.issuer != self._issuer:
            raise InvalidToken("wrong_issuer", "its issuer is another one")
        if self._audience not in caller.audience:
            raise InvalidToken("wrong_audience", "it is for another API")
        if key.audience and caller.audience != (key.audience,):  # an API that has a secret can sign with it
            raise InvalidToken("key_of_another_api", "its key is for another API")
        if caller.issued_at > now + MAX_AHEAD:
            raise InvalidToken("issued_in_future", f"its iat is more than {MAX_AHEAD} seconds ahead: a clock is wrong")
        if caller.status is None and not self._allow_missing_status:
            raise InvalidToken("no_status", "it refers to no status list, so it cannot be revoked")
