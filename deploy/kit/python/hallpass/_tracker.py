"""Knows which tokens are revoked, from status lists that background threads keep fresh."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ._http import Client
from ._keys import Source
from ._lists import LEEWAY, MEDIA_TYPE, PATH, BadListError, SignedList, bit, read
from ._sources import Worker
from .errors import InvalidToken, TokenError, Unavailable

log = logging.getLogger("hallpass")

FETCH_SILENCE = 5.0  # how long a server may send nothing
FETCH_TIMEOUT = 30.0  # of a whole fetch: a long list on a slow link
FETCH_FIRST_TIME = 2.0  # how long a list that was never fetched is tried without a pause
FETCH_FIRST_WAIT = 4.0  # how long the first requests for a list wait
FETCH_RETRY = 0.5  # after a failure
FETCH_INTERVAL = 60.0  # for a list without a ttl
FETCH_MIN_INTERVAL = 0.1
MAX_RESPONSE = 512 << 10
MAX_LISTS = 256
IDLE_TIME = 3600.0  # how long a list is kept after its last use
OLDER_TIMEOUT = 120.0  # how long lists older than the copy are ignored before they count as failures

_BELOW_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")


@dataclass(frozen=True, slots=True)
class Copy:
    """What is known of a list.

    The first list is the latest. Those that follow were issued at most LEEWAY before it and have other revocations:
    a server that lags behind cannot undo a revocation that another one has published.
    """

    lists: tuple[SignedList, ...]
    confirmed: float  # when the list was last fetched or found unchanged


class NotTriedYet(Exception):
    """Nothing is known yet, but ``event`` will be set within seconds, and then something may be."""

    def __init__(self, event: threading.Event, error: TokenError) -> None:
        super().__init__(str(error))
        self.event = event
        self.error = error


class StatusLists:
    """Fetches a list when a token first refers to it, and then periodically, until close is called."""

    def __init__(self, keys: Source, issuer: str, audience: str, url: str, now: Callable[[], float]) -> None:
        self.keys = keys
        self.audience = audience
        self.now = now
        self.failures = 0
        self._base = issuer + PATH
        self._url = (url or self._base).removesuffix("/")
        self._lists: dict[str, _Tracked] = {}
        self._lock = threading.Lock()

    def revoked(self, uri: str, index: int) -> bool:
        """Returns the bit of a token. It raises InvalidToken, Unavailable or NotTriedYet."""
        tracked = self._lists.get(uri) or self._add(uri)
        now = self.now()
        tracked.used = now
        copy = tracked.copy
        if copy is None:
            error = Unavailable("list_unavailable", "its status list has not been fetched yet")
            if tracked.tried.is_set():
                raise error
            raise NotTriedYet(tracked.tried, error)
        try:
            self.check_usable(copy.lists[0], now)
        except _KeyEndedError:
            tracked.wake()
            raise
        revoked = bit(copy.lists[0].bits, index)
        if revoked is None:
            raise InvalidToken("no_such_index", "its status list has no such index")
        return revoked or any(self.usable(other, now) and bit(other.bits, index) for other in copy.lists[1:])

    def check_usable(self, signed: SignedList, now: float) -> None:
        """Raises Unavailable if a list must not be used."""
        if now >= signed.expires + LEEWAY:
            raise Unavailable("list_unavailable", "its status list has expired and cannot be fetched")
        ring = self.keys.current()
        if not ring.verifies(signed.key, now) and not ring.verifies_equal(signed.key, now):
            raise _KeyEndedError(
                "list_unavailable",
                "the key of its status list has ended, and no list with another key has been fetched yet",
            )

    def usable(self, signed: SignedList, now: float) -> bool:
        """Reports whether a list may be used."""
        try:
            self.check_usable(signed, now)
        except Unavailable:
            return False
        return True

    def _add(self, uri: str) -> "_Tracked":
        rest = uri.removeprefix(self._base)
        if rest == uri or not _BELOW_PATH.fullmatch(rest):
            raise InvalidToken("foreign_list", "its status list is not one of the issuer's")
        with self._lock:
            tracked = self._lists.get(uri)
            if tracked is None:
                if len(self._lists) >= MAX_LISTS:
                    raise Unavailable("list_unavailable", f"its status list would exceed the {MAX_LISTS} that are kept")
                tracked = self._lists[uri] = _Tracked(self, uri, self._url + rest)
                tracked.start()
        return tracked

    def forget(self, uri: str) -> None:
        """Drops a list that is no longer tracked."""
        with self._lock:
            self._lists.pop(uri, None)

    def oldest(self) -> float:
        """Returns the age of the stalest list in seconds, for metrics: later revocations may be unknown."""
        now = self.now()
        with self._lock:
            return max((now - tracked.confirmed for tracked in self._lists.values()), default=0.0)

    def close(self) -> None:
        """Ends all threads soon."""
        with self._lock:
            for tracked in self._lists.values():
                tracked.stop()

    def merge(self, before: Copy | None, signed: SignedList, now: float) -> Copy:
        """Returns the copy with another list. A list older than the copy is an _OlderError."""
        lists = [signed]
        if before is not None:
            latest = before.lists[0]
            from_future = latest.issued > now + LEEWAY  # this machine's clock has been set back
            if not from_future and self.usable(latest, now):
                lists.extend(before.lists)
        lists.sort(key=lambda each: -each.issued)
        latest = lists[0]
        if latest.issued - signed.issued > LEEWAY:
            raise _OlderError
        kept: list[SignedList] = []
        for each in lists:
            if each is latest or latest.issued - each.issued <= LEEWAY and each.adds_to(kept):
                kept.append(each)
        return Copy(tuple(kept), now)


class _KeyEndedError(Unavailable):
    """The key of a list has ended. A list with the next key may be there already."""


class _OlderError(BadListError):
    """A list was issued before the copy."""

    def __init__(self) -> None:
        super().__init__(
            "the response was issued before the current copy: a cache or an attacker replays it, or the servers' "
            "clocks differ"
        )


class _Tracked(Worker):
    """A list that is fetched periodically."""

    def __init__(self, lists: StatusLists, uri: str, address: str) -> None:
        super().__init__("hallpass status list")
        self.copy: Copy | None = None
        self.tried = threading.Event()  # set when there is a copy, or the first attempts have failed
        self.used = self._began = lists.now()
        self._lists = lists
        self._uri = uri
        self._address = address
        self._client = Client(address, FETCH_TIMEOUT, FETCH_SILENCE)
        self._state = "fresh"

    def wake(self) -> None:
        """Ends the pause before the next fetch."""
        self._wake.set()

    @property
    def confirmed(self) -> float:
        """When the list was last fetched or found unchanged, or first used."""
        return self.copy.confirmed if self.copy is not None else self._began

    def _run(self) -> None:
        late = threading.Timer(FETCH_FIRST_WAIT, self.tried.set)
        late.daemon = True
        late.start()
        error = self._fetch_first()
        late.cancel()
        self.tried.set()
        while not self._stopped:
            now, copy = self._lists.now(), self.copy
            idle = now - self.used > IDLE_TIME
            if idle and (error is None or copy is None or not self._lists.usable(copy.lists[0], now)):
                self._lists.forget(self._uri)
                break
            self._report(error)
            if error is None and copy is not None:
                self._pause(_interval(copy.lists[0], now))
            else:
                self._wake.clear()  # requests do not shorten this pause
                self._pause(FETCH_RETRY)
            error = None if self._stopped else self._fetch()
        self._client.close()

    def _fetch_first(self) -> str | None:
        """Tries without a pause for a while, as the first requests wait."""
        began = time.monotonic()
        while True:
            error = self._fetch()
            if error is None or self._stopped or time.monotonic() - began >= FETCH_FIRST_TIME:
                return error
            self._pause(FETCH_MIN_INTERVAL)

    def _fetch(self) -> str | None:
        """Makes one request. It returns why it failed."""
        try:
            self._try_fetch()
        except (OSError, BadListError) as error:
            self._lists.failures += 1
            return str(error) or type(error).__name__
        except Exception as error:  # the thread must go on, or the list would silently become stale
            log.exception("status list not fetched: %s", self._uri)
            self._lists.failures += 1
            return type(error).__name__
        return None

    def _try_fetch(self) -> None:
        before, headers = self.copy, {"Accept": MEDIA_TYPE}
        if before is not None and before.lists[0].etag and self._lists.usable(before.lists[0], self._lists.now()):
            headers["If-None-Match"] = before.lists[0].etag
        response = self._client.get(headers, MAX_RESPONSE)
        now = self._lists.now()
        if response.status == 304 and before is not None and "If-None-Match" in headers:
            if not self._lists.usable(before.lists[0], now):  # a 304 is not signed
                raise BadListError("it has expired since the request was sent")
            self.copy = Copy(before.lists, now)
            return
        response.require_ok()
        signed = read(response.body, self._uri, self._lists.keys, self._lists.audience, now, response.etag)
        try:
            self.copy = self._lists.merge(before, signed, now)
        except _OlderError:
            # Servers drop old revocations at different moments, so this may be in order for a while.
            if before is None or now - before.confirmed >= OLDER_TIMEOUT:
                raise

    def _report(self, error: str | None) -> None:
        """Logs a change of state."""
        copy, now = self.copy, self._lists.now()
        usable = copy is not None and self._lists.usable(copy.lists[0], now)
        state = "fresh" if error is None else "stale" if usable else "absent"
        if state == self._state:
            return
        self._state = state
        if state == "fresh":
            log.info("status list fetched again: %s", self._uri)
        elif state == "stale":
            log.warning(
                "status list not fetched: the previous copy stays in use, and new revocations are unknown: "
                "%s from %s: %s", self._uri, self._address, error,
            )  # fmt: skip
        else:
            log.error(
                "status list not fetched: tokens that refer to it get a 503: %s from %s: %s",
                self._uri, self._address, error,
            )  # fmt: skip


def _interval(signed: SignedList, now: float) -> float:
    """Returns half the ttl, or half the time until the list expires if that is shorter."""
    interval = FETCH_INTERVAL if signed.ttl is None else signed.ttl / 2
    return max(min(interval, (signed.expires - now) / 2), FETCH_MIN_INTERVAL)
