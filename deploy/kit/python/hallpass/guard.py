"""Decides about a request by its access token (RFC 6750), for every framework."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from urllib.parse import parse_qsl

from . import _settings as settings
from ._keys import BadKeysError, Fixed, Ring, Source, check_bindings, from_secret
from ._login import Login
from ._refusal import INVALID_TOKEN, LOGIN, NOT_AUTHENTICATED, SCOPE, TWO_TOKENS, UNAVAILABLE, Refusal
from ._sources import KeysFile, KeysURL, Worker
from ._tokens import Caller, Verifier
from ._tracker import NotTriedYet, StatusLists
from .errors import ConfigError, InvalidToken, TokenError, Unavailable

log = logging.getLogger("hallpass")

MAX_WAIT = 4.0  # how long a request waits for keys or a list that were never fetched
REASON_INTERVAL = 60.0  # between two reasons that are logged as warnings
END_MARGIN = 60.0


class Guard:
    """Checks access tokens of one authorization server for one API. It is safe for concurrent use.

    ``issuer`` is the identifier of the authorization server, written as in its tokens, ``audience`` that of this API.

    Keys come from one of:

    * ``keys_url``, the authorization server's public keys. Without any source it is ``issuer + "/jwks.json"``.
    * ``keys_file``, the path of a JWK Set, which is read again when it changes.
    * ``token_secret``, a shared secret of 32 bytes or more.

    ``scope_includes`` says which scopes a scope includes, for example ``{"items:write": ["items:read"]}``.
    ``status_lists_url`` is set only if the API reaches the authorization server by another address than the issuer.
    ``allow_missing_status`` accepts tokens that cannot be revoked: for tests. ``now`` is the clock.

    Threads start with the first request: a process may be forked before. A wrong setting is a ConfigError.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys_url: str | None = None,
        keys_file: str | os.PathLike[str] | None = None,
        token_secret: str | None = None,
        status_lists_url: str | None = None,
        scope_includes: Mapping[str, Iterable[str]] | None = None,
        allow_missing_status: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        settings.check_issuer(issuer)
        settings.check_audience(audience)
        if sum(source is not None for source in (keys_url, keys_file, token_secret)) > 1:
            raise ConfigError("keys: more than one source of keys is set: set one")
        if keys_file is None and token_secret is None:
            keys_url = keys_url or issuer + "/jwks.json"
            settings.check_keys_url(keys_url)
        if status_lists_url:
            settings.check_status_lists_url(status_lists_url)
        self.issuer = issuer
        self.audience = audience
        self.metadata_url = ""  # the address of the metadata; empty if it is not served
        self._keys_settings = (keys_url, keys_file, token_secret)
        self._status_lists_url = status_lists_url or ""
        self._includes = settings.all_included({name: list(of) for name, of in (scope_includes or {}).items()})
        self._allow_missing_status = allow_missing_status
        self._now = now
        self._refused = _ReasonLog("refused")
        self._unchecked = _ReasonLog("not checked")
        self._lock = threading.Lock()
        self._process = 0  # the process whose threads run
        self._build()

    def _build(self) -> None:
        self._keys = self._open_keys(*self._keys_settings)
        self._lists = StatusLists(self._keys, self.issuer, self.audience, self._status_lists_url, self._now)
        self._verifier = Verifier(
            self._keys, self._lists, self.issuer, self.audience, self._includes, self._allow_missing_status, self._now
        )

    def _open_keys(self, url: str | None, file: str | os.PathLike[str] | None, secret: str | None) -> Source:
        if file is not None:
            path = os.fspath(file)
            try:
                return KeysFile(path, self._check_keys)
            except BadKeysError as error:
                raise ConfigError(f"keys_file: {path}: {error}") from None
            except OSError as error:
                raise ConfigError(f"keys_file: {path}: {error.strerror}") from None
        if secret is not None:
            try:
                return Fixed(from_secret(secret))
            except BadKeysError as error:
                raise ConfigError(f"token_secret: {error}") from None
        assert url is not None
        return KeysURL(url)

    def _check_keys(self, ring: Ring) -> None:
        check_bindings(ring, self.audience)
        for key in ring.keys:
            if key.is_private and key.algorithm != "HS256":
                log.warning(
                    "the keys file has a private key, so an attacker who can read it can sign tokens: 'authserver key "
                    "export' makes a file without it, and a keys URL needs no file: %s", key.id,
                )  # fmt: skip

    def start(self) -> None:
        """Starts the background threads, in this process. Every check calls it; further calls do nothing."""
        if self._process == os.getpid():
            return
        with self._lock:
            if self._process == os.getpid():
                return
            if self._process != 0:  # a fork copies no threads, and a connection must not be shared
                self._build()
            if isinstance(self._keys, Worker):
                self._keys.start()
            self._process = os.getpid()

    def close(self) -> None:
        """Ends the background threads soon. It is for tests: the threads end with the process."""
        if isinstance(self._keys, Worker):
            self._keys.stop()
        self._lists.close()

    def ready(self) -> str:
        """Returns "" if tokens can be verified, or else why not, for a readiness check.

        It ignores the age of status lists, so that an outage of the authorization server does not take all replicas
        of the API out of service.
        """
        self.start()
        ring, now = self._keys.current(), self._now()
        if not ring.keys:
            return "there are no keys to verify tokens with"
        if ring.ends is None or now + END_MARGIN < ring.ends:
            return ""
        if isinstance(self._keys, Fixed) or now < ring.ends and not self._keys.pending():
            return ""
        return "the keys run out, and new ones cannot be read"

    def stats(self) -> dict[str, float]:
        """Returns figures for metrics: the age of the stalest status list in seconds, and failed fetches."""
        return {"oldest_list_seconds": self._lists.oldest(), "failed_fetches": float(self._lists.failures)}

    def verify(self, token: str, *scopes: str, user: bool = False, login: Login | None = None) -> Caller:
        """Returns what a token says if it is valid and has all scopes, or raises a Refusal.

        ``user`` also refuses a token that a client got for itself. ``login`` does too, and refuses a token of a login
        that is not good enough, with a challenge that says what the client has to ask for (RFC 9470). The first token
        of a list waits for it, for up to 4 seconds, so coroutines must not call this.
        """
        return self.authenticate([b"Bearer " + token.encode("utf-8", "replace")], b"", scopes, user, login)

    def authenticate(
        self,
        authorization: Sequence[bytes],
        query: bytes,
        scopes: Collection[str] = (),
        user: bool = False,
        login: Login | None = None,
    ) -> Caller:
        """Returns the caller of a request, from its headers Authorization and its query, or raises a Refusal."""
        deadline = time.monotonic() + MAX_WAIT
        while True:
            try:
                return self.check(authorization, query, scopes, user, login)
            except NotTriedYet as waiting:
                if not waiting.event.wait(max(0.0, deadline - time.monotonic())):
                    raise self.unavailable(waiting.error) from None

    def check(
        self,
        authorization: Sequence[bytes],
        query: bytes,
        scopes: Collection[str],
        user: bool,
        login: Login | None = None,
    ) -> Caller:
        """Is authenticate for coroutines: it never waits, and raises NotTriedYet where authenticate would."""
        if self._process != os.getpid():
            self.start()
        token = self._credentials(authorization, query, scopes)
        try:
            verified = self._verifier.verify(token)
        except InvalidToken as error:
            self._refused.add(error)
            raise self._invalid(error.reason, scopes) from None
        except Unavailable as error:
            if error.reason == "keys_unavailable" and isinstance(self._keys, KeysURL) and not self._keys.tried.is_set():
                raise NotTriedYet(self._keys.tried, error) from None
            raise self.unavailable(error) from None
        if not verified.granted.issuperset(scopes):
            raise self._refusal(403, "insufficient_scope", SCOPE, "insufficient_scope", scopes)
        if (user or login is not None) and not verified.caller.is_user:
            raise self._invalid("not_a_user", scopes)
        if login is not None and not login.accepts(verified.caller, self._now()):
            refusal = self._refusal(401, "insufficient_user_authentication", LOGIN, "insufficient_login", scopes)
            refusal.login = login
            raise refusal
        return verified.caller

    def _credentials(self, authorization: Sequence[bytes], query: bytes, scopes: Collection[str]) -> bytes:
        """Returns the token of the Authorization header (RFC 6750 section 2.1). One in the query is never used."""
        if len(authorization) > 1:
            raise self._refusal(400, "invalid_request", TWO_TOKENS, "two_tokens", ())
        scheme, _, token = authorization[0].partition(b" ") if authorization else (b"", b"", b"")
        if scheme.lower() != b"bearer":
            raise self._refusal(401, "", NOT_AUTHENTICATED, "no_token", scopes)
        if query and _has_token(query):
            raise self._refusal(400, "invalid_request", TWO_TOKENS, "two_tokens", ())
        return token.lstrip(b" ")

    def invalid_token(self) -> Refusal:
        """Returns the refusal of a valid token that cannot be accepted for a reason that only the caller knows."""
        return self._invalid("refused_by_caller", ())

    def unavailable(self, error: TokenError) -> Refusal:
        """Returns the refusal of a token that cannot be checked now."""
        self._unchecked.add(error)
        return self._refusal(503, "", UNAVAILABLE, error.reason, ())

    def _invalid(self, reason: str, scopes: Collection[str]) -> Refusal:
        return self._refusal(401, "invalid_token", INVALID_TOKEN, reason, scopes)

    def _refusal(self, status: int, code: str, detail: str, reason: str, scopes: Collection[str]) -> Refusal:
        return Refusal(status, code, detail, reason, tuple(scopes), self.audience, self.metadata_url)

    def serve_metadata(self, scopes: Iterable[str]) -> tuple[str, bytes]:
        """Returns the path and the JSON body of the API's metadata (RFC 9728), for the router.

        From then on the challenges of refusals name its address. The path is "" for an audience that is no http(s) URL.
        """
        self.metadata_url = settings.metadata_url(self.audience)
        document = {
            "resource": self.audience,
            "authorization_servers": [self.issuer],
            "scopes_supported": sorted(set(scopes)),
            "bearer_methods_supported": ["header"],
        }
        if not document["scopes_supported"]:
            del document["scopes_supported"]
        return settings.metadata_path(self.audience), json.dumps(document, separators=(",", ":")).encode()


def _has_token(query: bytes) -> bool:
    return any(name == b"access_token" for name, _ in parse_qsl(query, keep_blank_values=True))


class _ReasonLog:
    """Logs why tokens are not accepted: one reason a minute as a warning, and the others for debugging.

    A wrong setting explains itself, but clients cannot fill the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = float("-inf")
        self._more = 0
        self._lock = threading.Lock()

    def add(self, error: TokenError) -> None:
        """Logs a reason."""
        with self._lock:
            now = time.monotonic()
            due = now - self._last >= REASON_INTERVAL
            more, self._more = (self._more, 0) if due else (0, self._more + 1)
            if due:
                self._last = now
        if due:
            log.warning("access token %s: %s (%d more %s before)", self._what, error, more, self._what)
        else:
            log.debug("access token %s: %s", self._what, error)
