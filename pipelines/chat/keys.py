"""A model's API key: read from the environment, hidden wherever it might be shown."""

import os
from dataclasses import dataclass, field

from schemas.errors import UserError

HIDDEN = '***'
PLACEHOLDER_CHARS = 8  # a shorter one (EMPTY, none, x) protects nothing, and words of a reply are spelt like it: `token` stands in every one


@dataclass(frozen=True, slots=True)
class Key:
    """The key a variable holds; '' where there is none. Nothing prints it."""

    variable: str
    value: str = field(repr=False)

    @property
    def _is_secret(self) -> bool:
        return len(self.value) >= PLACEHOLDER_CHARS

    def hide(self, text: str) -> str:
        """Return `text` without the key: servers, proxies and libraries quote what they were sent."""
        return text.replace(self.value, HIDDEN) if self._is_secret else text

    def hide_bytes(self, data: bytes) -> bytes:
        """Return `data` without the key."""
        return data.replace(self.value.encode(), HIDDEN.encode()) if self._is_secret else data

    def leaked_in(self, text: str) -> bool:
        """Return whether a reply holds the key."""
        return self._is_secret and self.value in text


def read_key(variable: str) -> Key:
    """Return the key in `variable`; raises UserError, without it, for one that no HTTP header can carry."""
    value = os.environ.get(variable, '').strip()  # a file read into a variable often ends with a blank or a carriage return
    if not (value.isascii() and value.isprintable()) or ' ' in value:
        # refused here: the HTTP library would quote it, escaped, in its own message
        raise UserError(f'${variable}: expected an API key of printable ASCII without blanks, found something else in it; export the right key')
    return Key(variable, value)
