"""Page tokens at rest: AES-256-GCM, bound to their Page, under keys that can be rotated.

An envelope is `version (1) · key id (8) · nonce (12) · ciphertext and tag`. The Page's id is
authenticated with it, so that a token copied to another Page's row cannot be opened there.
"""

import base64
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.config import Secret
from shared.errors import PagewireError

_VERSION = b"\x01"
_KEY_ID, _NONCE = 8, 12
_HEAD = len(_VERSION) + _KEY_ID + _NONCE


class CannotDecrypt(PagewireError):
    """A stored token cannot be opened with the keys at hand."""


class KeyRing:
    """The keys of TOKEN_ENCRYPTION_KEYS: the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        raws = [base64.urlsafe_b64decode(key.reveal()) for key in keys]
        self._keys = {_key_id(raw): AESGCM(raw) for raw in raws}
        self._first = _key_id(raws[0])

    def encrypt(self, token: Secret, page_id: str) -> bytes:
        """Return the envelope of a Page's token, under the first key."""
        nonce = os.urandom(_NONCE)
        head = _VERSION + self._first + nonce
        sealed = self._keys[self._first].encrypt(nonce, token.reveal().encode(), page_id.encode())
        return head + sealed

    def decrypt(self, envelope: bytes, page_id: str) -> Secret:
        """Open the envelope of a Page's token.

        Raises CannotDecrypt, which names the key that is missing or says that the envelope is not
        this Page's.
        """
        key_id = self._key_of(envelope)
        nonce, sealed = envelope[_HEAD - _NONCE : _HEAD], envelope[_HEAD:]
        try:
            opened = self._keys[key_id].decrypt(nonce, sealed, page_id.encode())
        except InvalidTag:
            raise CannotDecrypt(
                f"The stored token of Page {page_id} was damaged, or copied from another Page."
            ) from None
        return Secret(opened.decode())

    def is_current(self, envelope: bytes) -> bool:
        """Tell whether the envelope is under the first key: rotation rewrites the others."""
        return self._key_of(envelope) == self._first

    def lacks(self, envelope: bytes) -> str | None:
        """Return the name of the key that an envelope wants and the ring has not."""
        key_id = envelope[1 : 1 + _KEY_ID]
        is_ours = len(envelope) > _HEAD and envelope[:1] == _VERSION
        return key_id.hex() if is_ours and key_id not in self._keys else None

    def _key_of(self, envelope: bytes) -> bytes:
        if len(envelope) <= _HEAD or envelope[:1] != _VERSION:
            raise CannotDecrypt("A stored token has a form this release does not know.")
        if (missing := self.lacks(envelope)) is not None:
            raise CannotDecrypt(
                f"The key {missing} that a stored token was encrypted with is not among "
                f"TOKEN_ENCRYPTION_KEYS: add it back, after the current one."
            )
        return envelope[1 : 1 + _KEY_ID]


def _key_id(raw: bytes) -> bytes:
    """Name a key without giving it away."""
    return hashlib.sha256(b"pagewire key id" + raw).digest()[:_KEY_ID]
