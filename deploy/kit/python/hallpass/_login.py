"""What a route asks of the login of a user (RFC 9470)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ._tokens import LEEWAY, Caller
from .errors import ConfigError

_CLASS = re.compile(r"[!#-\[\]-~]+")  # in a challenge, classes are separated by spaces, and quoted


@dataclass(frozen=True, slots=True)
class Login:
    """How and when a user must have logged in (RFC 9470).

    ``acr_values`` are the authentication context classes that a token may have: a login with two factors is ``"2"`` at
    Hallpass. Without any, each is accepted. Name the best one first. ``max_age`` is how long ago the login may be, in
    seconds; None means any time. A wrong value is a ConfigError.
    """

    acr_values: Sequence[str] = ()
    max_age: int | None = None

    def __post_init__(self) -> None:
        """Checks the values: a text in place of a list would name a class for each of its letters."""
        values = self.acr_values
        if isinstance(values, str) or not all(isinstance(value, str) and _CLASS.fullmatch(value) for value in values):
            raise ConfigError('acr_values: it must be a list of texts without spaces and quotes, such as ["2"]')
        if self.max_age is not None and not (type(self.max_age) is int and self.max_age > 0):
            raise ConfigError("max_age: it must be a whole number of seconds, 1 or more")

    def accepts(self, caller: Caller, now: float) -> bool:
        """Reports whether the login of a token is good enough at a time.

        A login in the future, beyond the difference between clocks, counts as too old: nobody knows when it was.
        """
        if self.acr_values and caller.acr not in self.acr_values:
            return False
        if self.max_age is None:
            return True
        return caller.auth_time is not None and -LEEWAY <= now - caller.auth_time <= self.max_age
