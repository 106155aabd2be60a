"""The test vectors, which all kits pass."""

import json
import logging
import pathlib
import tempfile
import unittest
from typing import Any
from unittest import mock

from hallpass import Guard, Login, Refusal
from hallpass import _keys as keys
from hallpass import _lists as lists

from .server import AuthorizationServer

VECTORS = json.loads((pathlib.Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))


def open_guard(case: dict[str, Any], server: AuthorizationServer, folder: str) -> Guard:
    """Returns the guard of a case."""
    source = VECTORS["keys"][case["keys"]]
    settings: dict[str, Any] = {}
    if source["kind"] == "url":
        server.keys = json.dumps(source["set"])
        settings["keys_url"] = server.url + "/jwks.json"
    elif source["kind"] == "file":
        path = pathlib.Path(folder) / "keys.json"
        path.touch(0o600)
        path.write_text(json.dumps(source["set"]))
        settings["keys_file"] = path
    else:
        settings["token_secret"] = source["secret"]
    server.list = VECTORS["lists"][case["list"]]
    return Guard(
        issuer=VECTORS["issuer"],
        audience=VECTORS["audience"],
        status_lists_url=server.url + "/status-lists",
        scope_includes=case.get("scope_includes"),
        now=lambda: float(case["now"]),
        **settings,
    )


def view(caller: Any) -> dict[str, Any]:
    """Returns a caller as the vectors show it."""
    status = caller.status and {"idx": caller.status.index, "uri": caller.status.uri}
    login = {"acr": caller.acr} if caller.acr else {}
    if caller.auth_time is not None:
        login["auth_time"] = caller.auth_time
    return {
        "iss": caller.issuer, "sub": caller.subject, "aud": list(caller.audience), "client_id": caller.client_id,
        "jti": caller.token_id, "iat": caller.issued_at, "exp": caller.expires_at, "scope": list(caller.scope),
        "preferred_username": caller.username, "name": caller.name, "groups": list(caller.groups),
        "actors": list(caller.actors), "amr": list(caller.methods), "is_user": caller.is_user, "status": status,
    } | login  # fmt: skip


def login_of(case: dict[str, Any]) -> Login | None:
    """Returns what the route of a case needs of the login."""
    if "login" not in case:
        return None
    return Login(case["login"].get("acr_values", ()), case["login"].get("max_age"))


class TestVectors(unittest.TestCase):
    """One test for each part of the file."""

    def setUp(self) -> None:
        """Starts an authorization server, and silences the log."""
        self.server = AuthorizationServer()
        self.addCleanup(self.server.close)
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        once = mock.patch("hallpass._tracker.FETCH_FIRST_TIME", 0)  # one attempt is enough
        once.start()
        self.addCleanup(once.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_cases(self) -> None:
        """Every request gets its response."""
        for case in VECTORS["cases"]:
            with self.subTest(case["name"]):
                self.check(case)

    def check(self, case: dict[str, Any]) -> None:
        guard = open_guard(case, self.server, self.folder)
        self.addCleanup(guard.close)
        path, body = guard.serve_metadata(VECTORS["metadata"]["scopes"])
        self.assertEqual((path, body.decode()), (VECTORS["metadata"]["path"], VECTORS["metadata"]["body"]))
        want = case["want"]
        try:
            caller = guard.authenticate(
                [value.encode() for value in case["authorization"]],
                case.get("query", "").encode(), case["scopes"], case.get("user", False), login_of(case),
            )  # fmt: skip
        except Refusal as refusal:
            self.compare(refusal, want)
        else:
            self.assertEqual(want["status"], 200)
            self.assertEqual(view(caller), want["claims"])

    def compare(self, refusal: Refusal, want: dict[str, Any]) -> None:
        self.assertEqual((refusal.status, refusal.reason), (want["status"], want["reason"]))
        self.assertEqual(refusal.headers.get("WWW-Authenticate"), want.get("www_authenticate"))
        self.assertEqual(refusal.headers.get("Retry-After"), want.get("retry_after"))
        self.assertEqual(refusal.body.decode(), want["body"])

    def test_key_sets(self) -> None:
        """Every key set is usable or not, as it says."""
        for case in VECTORS["key_sets"]:
            with self.subTest(case["kind"] + " " + case["name"]):
                usable = True
                try:
                    if case["kind"] == "url":
                        usable = bool(keys.parse_public(case["set"].encode())[0].keys)
                    else:
                        keys.check_bindings(keys.parse(case["set"].encode()), VECTORS["audience"])
                except keys.BadKeysError as error:
                    usable = False
                    self.assertNotIn('"k"', str(error))
                self.assertEqual(usable, case["usable"])

    def test_bits(self) -> None:
        """Every encoded status list has the bits that are listed, or is refused."""
        for case in VECTORS["bits"]:
            with self.subTest(case["name"]):
                if not case["valid"]:
                    self.assertRaises(lists.BadListError, lists.decode, case["lst"])
                    continue
                bits = lists.decode(case["lst"])
                self.assertEqual(8 * len(bits), case.get("size", 0))
                found = [index for index in range(8 * len(bits)) if lists.bit(bits, index)]
                self.assertEqual(found, case.get("set") or [])
