"""Bytes that know their SHA-256: a content is claimed by it, and the call that sends the content is signed with it."""

from functools import cached_property
from hashlib import sha256


class Hashed(bytes):
    """Bytes whose SHA-256 is worked out once, however many ask for it."""

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 in hex."""
        return sha256(self).hexdigest()
