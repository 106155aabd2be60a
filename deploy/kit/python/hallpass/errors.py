"""Errors of the package. Their texts are for the log: they never quote a token or a key."""


class ConfigError(ValueError):
    """A setting is wrong. The text begins with its name."""


class TokenError(Exception):
    """An access token cannot be accepted. ``reason`` is a short text for programs, such as ``expired``."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class InvalidToken(TokenError):
    """The token must not be accepted, now or later."""


class Unavailable(TokenError):
    """The token cannot be checked now: its key is being fetched, or it is not known whether it is revoked."""
