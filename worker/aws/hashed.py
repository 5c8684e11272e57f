"""Bytes with their SHA-256, which both the content claim and the signature of the request need."""

from functools import cached_property
from hashlib import sha256


class Hashed(bytes):
    """Bytes whose SHA-256 is computed once."""

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 in hex."""
        return sha256(self).hexdigest()
