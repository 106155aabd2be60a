"""Decodes the parts of tokens and keys, and refuses input that other programs could read differently."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")


def base64url(text: bytes) -> bytes:
    """Decodes base64url without padding (RFC 7515 section 2). Unused bits at the end must be zero."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("it is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("it is not base64url without padding") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text:
        raise ValueError("it is not base64url without padding")
    return data


def json_object(data: bytes) -> dict[str, Any]:
    """Decodes a JSON object.

    A repeated member (RFC 7519 section 4), text that is not UTF-8 (RFC 8259 section 8.1) and a number that JSON does
    not have are a ValueError, which never quotes the input.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
        if b"\\u" in data:  # half of a surrogate pair can be escaped, but is no UTF-8
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except _RepeatedError:
        raise ValueError("a member is repeated") from None
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON, or nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


class _RepeatedError(Exception):
    """An object has two members of the same name."""


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _RepeatedError
        members[name] = value
    return members


def _no_constant(name: str) -> None:
    raise ValueError(name)


def text_member(members: dict[str, Any], name: str) -> str:
    """Returns a member that must be a string, or "" if it is absent."""
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("a member has the wrong type")
    return value


def number_member(members: dict[str, Any], name: str) -> float | None:
    """Returns a member that must be a number, or None if it is absent."""
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a member has the wrong type")
    return value


def object_member(members: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Returns a member that must be an object, or None if it is absent."""
    value = members.get(name)
    if value is not None and not isinstance(value, dict):
        raise ValueError("a member has the wrong type")
    return value


def text_list_member(members: dict[str, Any], name: str) -> list[str]:
    """Returns a member that must be a list of strings, or [] if it is absent."""
    value = members.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(element, str) for element in value):
        raise ValueError("a member has the wrong type")
    return value
