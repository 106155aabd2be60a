"""What the programs of this folder share: they are told about the servers in SYSTEM, say on
standard output what they saw succeed, and ask whoever started them for a browser."""

import json
import os

# {issuer, api, redirectURI, secrets by client id}
system = json.loads(os.environ["SYSTEM"])
issuer, api, redirect_uri = system["issuer"], system["api"], system["redirectURI"]
secrets = system["secrets"]

# The demo's user.
user = {"username": "john.doe", "password": "securepassword"}


def saw(step):
    """Report a step that succeeded."""
    print("saw", step, flush=True)


def browse(decision, url):
    """Have a browser open url, log in, and allow or deny what the client asks for. Return the
    URL at which it came back to the client."""
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
