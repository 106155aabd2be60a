"""Sources of keys that follow a file or a published JWK Set. Each has a background thread."""

import logging
import os
import stat
import threading
import time

from ._http import Client
from ._keys import MAX_SET, BadKeysError, Check, Ring, parse, parse_public

log = logging.getLogger("hallpass")

WATCH_INTERVAL = 2.0  # between two looks at a file; bounds how long a rotation takes to take effect
FETCH_INTERVAL = 60.0
FETCH_MIN_INTERVAL = 10.0  # between fetches for an unknown kid
FETCH_FIRST_RETRY = 2.0  # after a failure, without keys
RETRY = 10.0  # after a failure, with keys
FETCH_TIMEOUT = 5.0


class Worker:
    """A daemon thread that runs until it is stopped."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread. Call it once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread soon."""
        self._stopped = True
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        """Waits, unless the worker is woken or stopped."""
        self._wake.wait(seconds)
        if not self._stopped:
            self._wake.clear()

    def _run(self) -> None:
        raise NotImplementedError


class KeysFile(Worker):
    """Follows a JWK Set in a file: it is read again when it changes. If that fails, the last keys stay in use."""

    def __init__(self, path: str, check: Check) -> None:
        super().__init__("hallpass keys file")
        self._path = path
        self._check = check
        self._error: str | None = None
        self._seen = self._state()
        self._tried = time.monotonic()
        self._ring = self._read()

    def current(self) -> Ring:
        """Returns the ring that was last read."""
        return self._ring

    def pending(self) -> bool:
        """Reports whether the last attempt to read the file failed. It may have a key that is not known here."""
        return self._error is not None

    def _run(self) -> None:
        while not self._stopped:
            self._pause(WATCH_INTERVAL)
            if not self._stopped:
                self._reload()

    def _reload(self) -> None:
        seen, now = self._state(), time.monotonic()
        if seen == self._seen and (self._error is None or now - self._tried < RETRY):
            return
        self._seen, self._tried = seen, now
        try:
            self._ring = self._read()
        except Exception as error:  # the thread must go on, whatever it is
            self._error = _text(error)
            log.error("keys file not usable: the keys read last stay in use: %s: %s", self._path, self._error)
            return
        self._error = None
        log.info("keys file read: %s", self._path)

    def _state(self) -> tuple[int, ...] | None:
        try:
            info = os.stat(self._path)
        except OSError:
            return None
        return (info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size, info.st_mode)

    def _read(self) -> Ring:
        descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block
        with open(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise BadKeysError("it is not a regular file")
            if os.name == "posix" and mode & 0o027:
                raise BadKeysError(
                    f"others can read or change the file (its mode is {stat.S_IMODE(mode):04o}): run chmod 600 on it, "
                    "or 640 for a group of its own"
                )
            data = file.read(MAX_SET + 1)
        if len(data) > MAX_SET:
            raise BadKeysError(f"it is larger than {MAX_SET} bytes")
        ring = parse(data)
        self._check(ring)
        return ring


class KeysURL(Worker):
    """Follows the public keys of an authorization server. Failed fetches leave the last keys in use."""

    def __init__(self, url: str) -> None:
        super().__init__("hallpass keys")
        self._url = url
        self._client = Client(url, FETCH_TIMEOUT, FETCH_TIMEOUT)
        self._ring = Ring([])
        self._body = b""
        self._told = b""  # the set whose ignored keys were logged last
        self._requested = float("-inf")  # when a fetch was last requested for an unknown kid
        self._fetching = True  # whether that fetch, or the first one, has not succeeded yet
        self._lock = threading.Lock()
        self.error: str | None = None
        self.tried = threading.Event()  # cleared while the first fetch, or one for an unknown kid, is under way

    def current(self) -> Ring:
        """Returns the ring that was fetched last. It is empty before the first fetch."""
        return self._ring

    def pending(self) -> bool:
        """Requests a fetch, unless one was requested less than 10 seconds ago.

        It reports whether the last requested fetch has not succeeded yet: an unknown kid may name a new key.
        """
        with self._lock:
            now = time.monotonic()
            if not self._fetching and now - self._requested >= FETCH_MIN_INTERVAL:
                self._requested, self._fetching = now, True
                self.tried.clear()
                self._wake.set()
            return self._fetching

    def _run(self) -> None:
        while not self._stopped:
            self._pause(self._fetch())
        self._client.close()

    def _fetch(self) -> float:
        """Fetches the keys and returns how long to wait before the next fetch."""
        requested = self._requested
        try:
            response = self._client.get({"Accept": "application/json"}, MAX_SET)
            response.require_ok()
            if response.body != self._body:
                self._read(response.body)
        except Exception as error:  # the thread must go on, whatever it is
            self._failed(_text(error))
        else:
            self._succeeded(requested)
        with self._lock:
            if self._requested == requested:  # a fetch that was requested meanwhile is still to come
                self.tried.set()
        if self.error is None:
            return FETCH_INTERVAL
        return RETRY if self._ring.keys else FETCH_FIRST_RETRY

    def _read(self, body: bytes) -> None:
        ring, ignored = parse_public(body)
        if ignored and body != self._told:
            self._told = body
            log.warning(
                "published keys ignored: they cannot verify tokens here: %s: %d, first %s",
                self._url, len(ignored), ignored[0],
            )  # fmt: skip
        if not ring.keys:
            raise BadKeysError(
                "the authorization server publishes no public key: it signs with a shared secret, which a keys file "
                "can hold"
            )
        self._ring, self._body = ring, body  # a new ring invalidates the cache of verified tokens

    def _succeeded(self, requested: float) -> None:
        with self._lock:
            self._fetching = self._requested != requested
        if self.error is not None:
            log.info("keys fetched again: %s", self._url)
        self.error = None

    def _failed(self, error: str) -> None:
        self.error = error
        if self._ring.keys:
            log.warning("keys not fetched: those fetched last stay in use: %s: %s", self._url, error)
        else:
            log.warning("keys not fetched: no token can be verified until they are: %s: %s", self._url, error)


def _text(error: Exception) -> str:
    """Returns why reading keys failed, without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
