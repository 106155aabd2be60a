"""Checks settings, as the authorization server checks its own."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, urlsplit, urlunsplit

from .errors import ConfigError

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_PRINTABLE = re.compile(r"[\x21-\x7E]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

MAX_SCOPE = 1024
MAX_AUDIENCE = 255
METADATA_PATH = "/.well-known/oauth-protected-resource"  # goes between the host and the path of an API's identifier
RESERVED_AUDIENCE = "urn:hallpass:"  # begins the audiences of keys that are for no API


def parse_scope(text: str) -> tuple[str, ...]:
    """Returns the scope tokens of a space-separated list (RFC 6749 section 3.3), each once."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SCOPE:
        raise ValueError(f"scope is longer than {MAX_SCOPE} bytes")
    tokens = [token for token in text.split(" ") if token]
    for token in tokens:
        if not _SCOPE_TOKEN.fullmatch(token):
            raise ValueError("scope has a character that RFC 6749 section 3.3 does not allow")
    return tuple(dict.fromkeys(tokens))


def split_url(address: str) -> SplitResult | None:
    """Returns the parts of an http(s) URL with a host, or None."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018: a port that is not a number is an error
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or not _PRINTABLE.fullmatch(address):
        return None
    return parts


def check_issuer(issuer: str) -> None:
    """Checks an issuer identifier (RFC 8414 section 2). It is compared as a string, so it has one spelling."""
    parts = split_url(issuer)
    if parts is None:
        raise ConfigError(f"issuer: {issuer!r} is not a URL like https://login.example.com")
    if "@" in parts.netloc or "?" in issuer or "#" in issuer:
        raise ConfigError("issuer: it must have no user, query or fragment (RFC 8414 section 2)")
    if issuer.endswith(("/", ":")) or urlunsplit(parts) != issuer:
        raise ConfigError(f"issuer: {issuer!r} must not end in a slash or a colon, and its scheme is in lower case")


def check_audience(audience: str) -> None:
    """Checks the identifier of an API (RFC 8707 section 2)."""
    scheme, colon, rest = audience.partition(":")
    valid = (
        bool(colon and rest and _SCHEME.fullmatch(scheme) and _PRINTABLE.fullmatch(audience))
        and len(audience) <= MAX_AUDIENCE
        and "#" not in audience
        and not audience.lower().startswith(RESERVED_AUDIENCE)
    )
    if valid and scheme in ("http", "https"):
        parts = split_url(audience)
        valid = parts is not None and "@" not in parts.netloc
    if not valid:
        raise ConfigError(
            f"audience: {audience!r} must be an absolute URI like https://api.example.com, of at most "
            f"{MAX_AUDIENCE} bytes, without user or fragment"
        )


def check_keys_url(address: str) -> None:
    """Checks the address of published keys, which are not signed: it needs TLS, except on this machine."""
    parts = split_url(address)
    if parts is None:
        raise ConfigError("keys_url: it is not a URL like https://login.example.com/jwks.json")
    if "@" in parts.netloc:
        raise ConfigError("keys_url: it must not have a user or password: the keys are public")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigError(
            "keys_url: it must begin with https:// unless the host is this machine: an attacker on the network could "
            "replace the keys, and sign tokens. Without TLS, use a keys file ('authserver key export' makes one)"
        )


def check_status_lists_url(address: str) -> None:
    """Checks the address of the status lists. They are signed, so http may name another machine."""
    parts = split_url(address)
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "status_lists_url: it is not a URL like https://login.example.com/status-lists, without user and query"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def metadata_url(audience: str) -> str:
    """Returns the address of an API's metadata (RFC 9728 section 3.1), or "" if its identifier is no http(s) URL."""
    parts = split_url(audience)
    if parts is None:
        return ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{metadata_path(audience)}{query}"


def metadata_path(audience: str) -> str:
    """Returns the path of metadata_url."""
    parts = split_url(audience)
    return METADATA_PATH + parts.path.removesuffix("/") if parts is not None else ""


def all_included(direct: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Returns the scopes that each scope includes, also by others."""
    result = {}
    for scope in direct:
        found = [scope]
        for included in found:  # found grows
            found.extend(more for more in direct.get(included, ()) if more not in found)
        result[scope] = frozenset(found)
    return result
