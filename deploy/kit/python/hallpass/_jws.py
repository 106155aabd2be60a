"""Verifies a JWS in compact serialization (RFC 7515 section 7.1)."""

from ._keys import ALGORITHMS, Key, Source
from ._strict import base64url, json_object, text_member
from .errors import InvalidToken, Unavailable


def verify(keys: Source, compact: bytes, typ: str, now: float) -> tuple[bytes, Key]:
    """Returns the payload and the key that signed it. The typ of the header must be the media type typ."""
    texts = compact.split(b".", 3)
    try:
        if len(texts) != 3 or not all(texts):
            raise ValueError
        header, payload, signature = (base64url(text) for text in texts)
    except ValueError:
        raise InvalidToken("malformed", "it is not three parts in base64url") from None
    key = _key_for(keys, header, typ, now)
    if not key.verify(compact[: compact.rindex(b".")], signature):
        raise InvalidToken("bad_signature", "the signature is invalid")
    return payload, key


def _key_for(keys: Source, text: bytes, typ: str, now: float) -> Key:
    """Returns the key that a JOSE header names. Members such as jku and jwk are ignored (RFC 8725 section 3.10)."""
    try:
        header = json_object(text)
        algorithm, key_id, kind = (text_member(header, name) for name in ("alg", "kid", "typ"))
    except ValueError as error:
        raise InvalidToken("bad_header", f"the header: {error}") from None
    if kind.lower().removeprefix("application/") != typ:
        raise InvalidToken("wrong_type", f"typ is not {typ}")  # RFC 8725 section 3.11
    if "crit" in header:  # RFC 7515 section 4.1.11
        raise InvalidToken("critical_header", "crit names an extension, and none is supported")
    if algorithm not in ALGORITHMS:
        raise InvalidToken("unsupported_algorithm", "alg is not supported")  # RFC 8725 section 3.1
    key = keys.current().verifier(key_id, now)
    if key is None:
        if keys.pending():
            raise Unavailable("keys_unavailable", "kid names no key that is known here yet")
        raise InvalidToken("unknown_key", "kid names no key that verifies now")
    if algorithm != key.algorithm:
        raise InvalidToken("wrong_algorithm", "alg is not the algorithm of the key")  # RFC 8725 section 3.1
    return key
