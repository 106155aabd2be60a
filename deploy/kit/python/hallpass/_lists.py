"""Signed lists of revoked tokens (Token Status List, draft-ietf-oauth-status-list)."""

import zlib
from dataclasses import dataclass

from ._jws import verify
from ._keys import MAX_SECONDS, Key, Source
from ._strict import base64url, json_object, number_member, object_member, text_member
from .errors import TokenError

TYPE = "statuslist+jwt"
MEDIA_TYPE = "application/" + TYPE
PATH = "/status-lists"  # of all lists, below the issuer

MAX_BYTES = (1 << 20) // 8  # of the longest list
MAX_TTL = 86400.0
LEEWAY = 5  # seconds that clocks may differ


class BadListError(Exception):
    """A text is not the expected signed list."""


def decode(text: str) -> bytes:
    """Decodes the member lst: base64url of ZLIB. Index 0 is the least significant bit of the first byte."""
    inflate = zlib.decompressobj()
    try:
        bits = inflate.decompress(base64url(text.encode()), MAX_BYTES + 1)
    except (ValueError, zlib.error):
        raise BadListError("lst is not base64url of ZLIB") from None
    if len(bits) > MAX_BYTES:
        raise BadListError(f"it is longer than {8 * MAX_BYTES} bits")
    if not inflate.eof or inflate.unused_data:
        raise BadListError("lst is cut, or data follows it")
    return bits


def bit(bits: bytes, index: int) -> bool | None:
    """Returns the bit at an index, or None if the list has no such index."""
    if not 0 <= index < 8 * len(bits):
        return None
    return bool(bits[index >> 3] >> (index & 7) & 1)


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list as one server has signed it."""

    bits: bytes
    issued: float  # iat, but not in the future; orders lists
    expires: float
    ttl: float | None
    key: Key
    etag: str

    def adds_to(self, others: "list[SignedList]") -> bool:
        """Reports whether a bit is set here and in none of the others."""
        missing = int.from_bytes(self.bits, "little")
        for other in others:
            missing &= ~int.from_bytes(other.bits, "little")
        return missing != 0


def read(raw: bytes, uri: str, keys: Source, audience: str, now: float, etag: str = "") -> SignedList:
    """Verifies the signed list with a URI. The error is a BadListError."""
    try:
        payload, key = verify(keys, raw, TYPE, now)
        if key.audience not in ("", audience):
            raise BadListError("its key is for another API")
        claims = json_object(payload)
        subject = text_member(claims, "sub")
        issued, expires, ttl = (number_member(claims, name) for name in ("iat", "exp", "ttl"))
        content = object_member(claims, "status_list") or {}
        lst, per_token = text_member(content, "lst"), number_member(content, "bits")
    except (TokenError, ValueError) as error:
        raise BadListError(str(error)) from None
    _check(subject == uri, "its sub is another list")
    _check(issued is not None and expires is not None, "the claim iat or exp is missing")
    assert issued is not None and expires is not None
    _check(0 <= issued <= MAX_SECONDS and 0 <= expires <= MAX_SECONDS, "iat or exp is not a time between 1970 and 9999")
    _check(now < expires + LEEWAY, "it has expired")
    _check(per_token == 1, "its bits is not 1")
    _check(ttl is None or ttl > 0, "its ttl is not positive")
    # If the server's clock is ahead, its list must not make later ones of other servers look old. The list is not
    # used for longer than the server intended.
    ahead = max(0.0, issued - (now + LEEWAY))
    return SignedList(
        decode(lst), issued - ahead, expires - ahead, None if ttl is None else min(ttl, MAX_TTL), key, etag
    )


def _check(correct: bool, text: str) -> None:
    if not correct:
        raise BadListError(text)
