"""Keys that rotate, and status lists that are stale, forged or missing, over time."""

import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from hallpass import Caller, ConfigError, Guard, Refusal

from . import issuer
from .server import AuthorizationServer

TIMEOUT = 300.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class GuardTest(unittest.TestCase):
    """Has a guard, and the authorization server that it follows."""

    def setUp(self) -> None:
        """Starts the server."""
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        once = mock.patch("hallpass._tracker.FETCH_FIRST_TIME", 0)
        once.start()
        self.addCleanup(once.stop)
        self.clock = Clock()
        self.server = AuthorizationServer()
        self.addCleanup(self.server.close)
        self.server.keys = issuer.key_set("ed")
        self.server.list = issuer.signed_list()

    def open(self, **settings: Any) -> Guard:
        """Returns a guard."""
        if not {"keys_file", "token_secret"} & settings.keys():
            settings["keys_url"] = self.server.url + "/jwks.json"
        guard = Guard(
            issuer=issuer.ISSUER, audience=issuer.AUDIENCE, status_lists_url=self.server.url + "/status-lists",
            now=self.clock, **settings,
        )  # fmt: skip
        self.addCleanup(guard.close)
        return guard

    def refused(self, guard: Guard, token: str) -> str:
        """Returns why a token is refused, or "" if it is accepted."""
        try:
            self.assertIsInstance(guard.verify(token, "items:read"), Caller)
        except Refusal as refusal:
            return refusal.reason
        return ""

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Polls a condition until it is true."""
        deadline = time.monotonic() + TIMEOUT
        while not done():
            self.assertLess(time.monotonic(), deadline, f"still waiting for {what}")
            time.sleep(0.01)

    def wait_for_revocation(self, guard: Guard) -> None:
        """Waits until the guard knows that the usual token is revoked."""
        self.wait_for("the revocation", lambda: self.refused(guard, issuer.token()) == "revoked")

    def fetches(self, path: str) -> int:
        """Returns how many requests for a path were responded to."""
        return sum(1 for each, _ in self.server.requests if each == path)


class TestLists(GuardTest):
    """Status lists over time."""

    def test_first_request_waits(self) -> None:
        """The first token gets no 503: it waits for the keys and the list."""
        self.assertEqual(self.refused(self.open(), issuer.token()), "")

    def test_revocation(self) -> None:
        """A revocation takes effect, and others stay valid."""
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.server.list = issuer.signed_list(revoked=[1])
        self.wait_for("the revocation", lambda: self.refused(guard, issuer.token()) == "revoked")
        other = issuer.token(status={"status_list": {"idx": 2, "uri": issuer.LIST}})
        self.assertEqual(self.refused(guard, other), "")

    def test_bound_token(self) -> None:
        """A token that is bound to a key is no bearer token (RFC 9449 section 7.2)."""
        self.assertEqual(self.refused(self.open(), issuer.token(cnf={"jkt": "x"})), "bound")

    def test_requests_need_no_server(self) -> None:
        """A token is accepted while the authorization server is down, until the list expires."""
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.server.down = True
        failed = guard.stats()["failed_fetches"]
        self.wait_for("failed fetches", lambda: guard.stats()["failed_fetches"] > failed + 1)
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.clock.ahead = 599
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.clock.ahead = 610
        self.assertEqual(self.refused(guard, issuer.token()), "list_unavailable")
        self.clock.ahead = 0
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.server.down = False
        fetched = self.fetches("/status-lists/0")
        self.wait_for("a fetch", lambda: self.fetches("/status-lists/0") > fetched)

    def test_unchanged(self) -> None:
        """An unchanged list is a 304, and stays in use."""
        self.server.etag = '"1"'
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.wait_for("a 304", lambda: ("/status-lists/0", 304) in self.server.requests)
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.server.list, self.server.etag = issuer.signed_list(revoked=[1]), '"2"'
        self.wait_for("the revocation", lambda: self.refused(guard, issuer.token()) == "revoked")

    def test_bad_lists_change_nothing(self) -> None:
        """A list that is missing, forged, stale or for another list does not replace the copy."""
        guard = self.open()
        self.server.list = issuer.signed_list(revoked=[1])
        self.assertEqual(self.refused(guard, issuer.token()), "revoked")
        past = int(time.time()) - 10
        for name, bad in {
            "missing": None,
            "forged": issuer.sign("stranger", "statuslist+jwt", {}),
            "stale": issuer.signed_list(exp=past),
            "for another list": issuer.signed_list(sub=issuer.ISSUER + "/status-lists/1"),
            "no bits": issuer.signed_list(status_list={"bits": 1, "lst": ""}),
            "longer than a response may be": "x" * (600 << 10),
        }.items():
            with self.subTest(name):
                self.server.list = bad
                failed = guard.stats()["failed_fetches"]
                self.wait_for("a failure", lambda: guard.stats()["failed_fetches"] > failed + 1)
                self.assertEqual(self.refused(guard, issuer.token()), "revoked")

    def test_replayed_list(self) -> None:
        """A list that was issued before the copy cannot undo a revocation, nor can one of the same time."""
        now = int(time.time())
        self.server.list = issuer.signed_list(revoked=[1], iat=now)
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "revoked")
        for issued in (now - 60, now - 3):
            self.server.list = issuer.signed_list(iat=issued)
            fetched = self.fetches("/status-lists/0")
            self.wait_for("two fetches", lambda: self.fetches("/status-lists/0") > fetched + 2)
            self.assertEqual(self.refused(guard, issuer.token()), "revoked")

    def test_missing_then_there(self) -> None:
        """A token whose list is missing gets a 503, and is accepted once the list is there."""
        self.server.list = None
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "list_unavailable")
        self.server.list = issuer.signed_list()
        self.wait_for("the list", lambda: self.refused(guard, issuer.token()) == "")

    def test_clock_off_by_a_minute(self) -> None:
        """Tokens and lists are accepted by a machine whose clock is a minute wrong, either way."""
        for ahead in (60.0, -60.0):
            with self.subTest(ahead=ahead):
                self.clock.ahead = ahead
                guard = self.open()
                self.assertEqual(self.refused(guard, issuer.token()), "")
                self.server.list = issuer.signed_list(revoked=[1])
                self.wait_for_revocation(guard)
                self.server.list = issuer.signed_list()


class TestKeys(GuardTest):
    """Keys over time."""

    def test_new_key(self) -> None:
        """A token of a key that was published after the last fetch is accepted: it is fetched again at once."""
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.server.keys = issuer.key_set("ed", "es")
        self.assertEqual(self.refused(guard, issuer.token("es")), "")
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.assertEqual(self.fetches("/jwks.json"), 2)

    def test_withdrawn_key(self) -> None:
        """A withdrawn key verifies nothing, also if the set has keys that no API can use. The log says so once."""

        def publish(kid: str) -> None:
            others = [{**json.loads(issuer.key_set("es"))["keys"][0], "use": "enc"}, {"kty": "LATTICE"}, None]
            self.server.keys = json.dumps({"keys": others + json.loads(issuer.key_set(kid))["keys"]})

        logging.disable(logging.NOTSET)
        with self.assertLogs("hallpass", "INFO") as log:
            publish("ed")
            guard = self.open()
            self.assertEqual(self.refused(guard, issuer.token()), "")
            publish("rs")
            self.server.list = issuer.signed_list("rs")
            self.wait_for("the new key", lambda: self.refused(guard, issuer.token("rs")) == "")
            self.assertEqual(self.refused(guard, issuer.token()), "unknown_key")
        told = [line for line in log.output if "published keys ignored" in line]
        self.assertEqual(len(told), 2)
        self.assertIn(": 3, first key 1 of 4: its use is not sig", told[0])

    def test_strangers_cannot_cause_requests(self) -> None:
        """Unknown kids cause one fetch of the keys, not one each."""
        guard = self.open()
        for _ in range(20):
            self.assertEqual(self.refused(guard, issuer.token("stranger")), "unknown_key")
        self.assertLessEqual(self.fetches("/jwks.json"), 2)

    def test_server_is_down_at_the_start(self) -> None:
        """Without keys, a token gets a 503, and is accepted when the server is there."""
        self.server.down = True
        with mock.patch("hallpass._sources.FETCH_FIRST_RETRY", 0.05):
            guard = self.open()
            self.assertNotEqual(guard.ready(), "")
            self.assertEqual(self.refused(guard, issuer.token()), "keys_unavailable")
            self.server.down = False
            self.wait_for("the keys", lambda: self.refused(guard, issuer.token()) == "")
        self.assertEqual(guard.ready(), "")

    def test_key_that_ends(self) -> None:
        """A cached token is refused when its key has ended."""
        end = int(time.time()) + 100
        self.server.keys = issuer.key_set("ed", exp=end)
        guard = self.open()
        self.assertEqual(self.refused(guard, issuer.token()), "")
        self.assertEqual(guard.ready(), "")
        self.clock.ahead = 101
        self.wait_for("the refusal", lambda: self.refused(guard, issuer.token()) == "unknown_key")
        self.assertNotEqual(guard.ready(), "")

    def test_keys_file(self) -> None:
        """A keys file is read again when it changes. While it is not usable, the keys stay, and new kids get a 503."""
        self.server.list = issuer.signed_list("hs")
        with tempfile.TemporaryDirectory() as folder, mock.patch("hallpass._sources.WATCH_INTERVAL", 0.01), mock.patch(
            "hallpass._sources.RETRY", 0.05
        ):
            path = pathlib.Path(folder) / "keys.json"

            def write(text: str) -> None:
                new = path.with_suffix(".new")
                new.touch(0o600)
                new.write_text(text)
                os.replace(new, path)

            write(issuer.key_set("hs"))
            guard = self.open(keys_file=path)
            self.assertEqual(self.refused(guard, issuer.token("hs")), "")
            self.assertEqual(self.refused(guard, issuer.token("hs-ended")), "unknown_key")
            write("{")
            self.wait_for("a 503", lambda: self.refused(guard, issuer.token("hs-ended")) == "keys_unavailable")
            self.assertEqual(self.refused(guard, issuer.token("hs")), "")
            write(issuer.key_set("hs", "hs-ended"))
            self.wait_for("the new key", lambda: self.refused(guard, issuer.token("hs-ended")) == "")
            self.assertEqual(self.refused(guard, issuer.token("hs")), "")
            guard.close()

    def test_keys_file_of_everybody(self) -> None:
        """A keys file that others can read is refused, and one that is missing, or a folder."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "keys.json"
            path.touch(0o644)
            path.write_text(issuer.key_set("hs"))
            path.chmod(0o644)
            for file in (path, path.with_suffix(".missing"), pathlib.Path(folder)):
                with self.subTest(file), self.assertRaises(ConfigError):
                    self.open(keys_file=file)

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_fork(self) -> None:
        """A process that is forked after the first request has threads of its own."""
        program = (
            "import os, sys\n"
            "from hallpass import Guard\n"
            "issuer, audience, url, token = sys.argv[1:]\n"
            "guard = Guard(issuer=issuer, audience=audience, keys_url=url + '/jwks.json', "
            "status_lists_url=url + '/status-lists')\n"
            "guard.verify(token)\n"
            "child = os.fork()\n"
            "guard.verify(token)\n"
            "os._exit(0) if child == 0 else None\n"
            "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        arguments = [issuer.ISSUER, issuer.AUDIENCE, self.server.url, issuer.token()]
        root = pathlib.Path(__file__).parents[1]
        subprocess.run([sys.executable, "-c", program, *arguments], cwd=root, check=True, timeout=TIMEOUT)
        self.assertEqual(self.fetches("/jwks.json"), 2)


def open_guard(settings: dict[str, Any]) -> Guard:
    """Returns a guard that is not used."""
    return Guard(**settings)


class TestSettings(unittest.TestCase):
    """Wrong settings."""

    def test_wrong(self) -> None:
        """Each wrong setting is named in the error, which has no secret."""
        good: dict[str, Any] = {"issuer": issuer.ISSUER, "audience": issuer.AUDIENCE}
        wrong: dict[str, Any]
        for name, wrong in (
            ("issuer", {"issuer": "login.example.com"}),
            ("issuer", {"issuer": "https://login.example.com/"}),
            ("issuer", {"issuer": "https://login.example.com?x"}),
            ("issuer", {"issuer": "https://john@login.example.com"}),
            ("issuer", {"issuer": "HTTPS://login.example.com"}),
            ("issuer", {"issuer": "https://login.example.com:"}),
            ("issuer", {"issuer": "https://login.example.com:port"}),
            ("audience", {"audience": "api"}),
            ("audience", {"audience": "https://api.example.com#x"}),
            ("audience", {"audience": "https:///x"}),
            ("audience", {"audience": "urn:hallpass:x"}),
            ("audience", {"audience": "urn:" + "x" * 255}),
            ("keys_url", {"keys_url": "http://login.example.com/jwks.json"}),
            ("keys_url", {"keys_url": "https://hunter2@login.example.com/jwks.json"}),
            ("keys_url", {"issuer": "http://login.example.com"}),
            ("token_secret", {"token_secret": "hunter2"}),
            ("keys", {"token_secret": "hunter2" * 8, "keys_file": "keys.json"}),
            ("status_lists_url", {"status_lists_url": "/status-lists"}),
            ("status_lists_url", {"status_lists_url": "https://login.example.com/status-lists?x"}),
        ):
            with self.subTest(wrong), self.assertRaises(ConfigError) as raised:
                open_guard(good | wrong)
            self.assertTrue(str(raised.exception).startswith(name + ": "), raised.exception)
            self.assertNotIn("hunter2", str(raised.exception))
        for name, value in (("audience", "urn:example:api"), ("issuer", "https://login.example.com/realm")):
            open_guard(good | {name: value})


class TestLog(GuardTest):
    """What is logged."""

    def test_refusals(self) -> None:
        """One refusal a minute is a warning, and no line has a token."""
        logging.disable(logging.NOTSET)
        guard = self.open()
        wrong = issuer.token(aud="https://billing.example.com")
        with self.assertLogs("hallpass", "DEBUG") as log:
            for _ in range(3):
                self.refused(guard, wrong)
        refusals = [record for record in log.records if "access token refused" in record.getMessage()]
        self.assertEqual([record.levelname for record in refusals], ["WARNING", "DEBUG", "DEBUG"])
        self.assertNotIn("eyJ", str(log.output))

    def test_tokens_that_cannot_be_checked(self) -> None:
        """While the keys cannot be fetched, clients that invent keys cannot fill the log."""
        logging.disable(logging.NOTSET)
        self.server.down = True
        guard = self.open()
        with self.assertLogs("hallpass", "DEBUG") as log:
            for _ in range(20):
                self.assertEqual(self.refused(guard, issuer.token("stranger")), "keys_unavailable")
        unchecked = [record for record in log.records if "access token not checked" in record.getMessage()]
        self.assertEqual([record.levelname for record in unchecked], ["WARNING"] + 19 * ["DEBUG"])


if __name__ == "__main__":
    unittest.main()
