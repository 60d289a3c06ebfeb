"""The secrets of a deployment nobody configured: made once, kept in files only the owner reads."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path


class Keys:
    """A folder with one secret a file; the file's name is the secret's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the file that holds `name`."""
        return self._folder / name

    def read(self, name: str) -> str | None:
        """Return the secret, or None if there is none yet."""
        path = self.path(name)
        return path.read_text(encoding="utf-8").strip() if path.exists() else None

    def keep(self, name: str, secret: str) -> str:
        """Write the secret down and return it."""
        write_private(self.path(name), secret + "\n")
        return secret

    def made_once(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret, made and kept now if there was none."""
        return self.read(name) or self.keep(name, make())


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner reads, to the disk, whole or not at all."""
    half_done = path.with_name(path.name + ".new")
    half_done.unlink(missing_ok=True)
    half_done.touch(mode=0o600)
    with half_done.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        # Without the encryption key the stored tokens are lost: it must outlive a power cut.
        os.fsync(file.fileno())
    half_done.rename(path)


def word() -> str:
    """Return a random secret that can stand anywhere a word can."""
    return secrets.token_urlsafe(32)


def encryption_key() -> str:
    """Return a key for `TOKEN_ENCRYPTION_KEYS`: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
