"""What a route may ask of a login."""

import unittest
from typing import Any

from hallpass import ConfigError, Login


class TestLogin(unittest.TestCase):
    """The vectors have the logins that are accepted. These are wrong settings."""

    def test_wrong(self) -> None:
        """A wrong value is an error when the route is defined, and not a route that nobody reaches."""
        wrong: list[dict[str, Any]] = [{"acr_values": value} for value in ("2", ["1 2"], ['"'], [""], [2])]
        wrong += [{"max_age": value} for value in (0, -1, 1.5, "300", True)]
        for settings in wrong:
            with self.subTest(settings), self.assertRaisesRegex(ConfigError, next(iter(settings))):
                Login(**settings)
