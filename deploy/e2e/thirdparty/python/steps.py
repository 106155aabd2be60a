"""Shared by the programs in this folder. The environment variable SYSTEM describes the servers.
The programs report steps that succeeded on standard output. They ask there for a browser, too,
and read the response from standard input."""

import json
import os

# {issuer, api, redirectURI, algorithm, secrets: {client id: secret}}
system = json.loads(os.environ["SYSTEM"])
issuer, api, redirect_uri = system["issuer"], system["api"], system["redirectURI"]
secrets = system["secrets"]

# A demo user.
user = {"username": "john.doe", "password": "securepassword"}


def saw(step):
    """Report a step that succeeded."""
    print("saw", step, flush=True)


def browse(decision, url):
    """Make a browser open url, log in, and allow or deny the request. Return the URL of the
    callback."""
    print(decision, url, flush=True)
    return input()


def fails(error, code, call, *args, **kwargs):
    """Check that a call raises an error of this type with this OAuth error code."""
    try:
        call(*args, **kwargs)
    except error as e:
        if e.error != code:
            raise AssertionError(f"got the error {e.error}, want {code}") from e
        return
    raise AssertionError(f"no error, want {code}")


def same(got, want):
    """Check that two values are equal."""
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")
