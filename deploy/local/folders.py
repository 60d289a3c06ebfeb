"""The folders servers live in: who holds them, who may enter them, how long their names may be."""

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from deploy.local.account import Account
from deploy.local.errors import CannotStart

SOCKET_PATH_LIMIT = 103
"""Bytes in the path of a unix socket: macOS's limit, Linux allows 107."""


@contextlib.contextmanager
def claimed(home: Path, part: str) -> Iterator[None]:
    """Hold a part of `home` for this process alone, by a lock on a file of that name.

    PostgreSQL refuses a folder in use by itself; two Valkeys would both run and spoil the data.
    The kernel frees the lock when we end, however we end.
    """
    with _lock_file(home, part) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise CannotStart(f"{home} is in use by {holder}.\nStop that one first.") from None
        now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        file.truncate(0)
        file.write(f"process {os.getpid()} since {now}")
        file.flush()
        yield


def _lock_file(home: Path, part: str) -> TextIO:
    try:
        home.mkdir(parents=True, exist_ok=True)
        return (home / f"{part}.lock").open("a+")
    except PermissionError as error:
        raise CannotStart(
            f"{home} belongs to another user.\n"
            "Start Pagewire as the one who started it first, or remove that folder."
        ) from error


def reachable(home: Path, account: Account | None) -> Path:
    """Return `home`, or the folder that stands in for it when `account` cannot enter it."""
    if account is None or account.can("test", "-x", home):
        return home
    for parent in (Path("/var/lib/pagewire"), Path(tempfile.gettempdir(), "pagewire")):
        place = parent / _digest(home)
        with contextlib.suppress(OSError):
            _open_to_all(parent)
            _open_to_all(place)
            if _trusted(parent, 0) and account.can("test", "-x", place):
                return place
    raise CannotStart(
        f"The account {account.name}, which PostgreSQL would run as, cannot reach {home}.\n"
        "Move the checkout out of that private folder, or set DATABASE_URL."
    )


def private(folder: Path, account: Account | None) -> Path:
    """Make `folder` a folder only `account` (or we) may enter. Parents are left as they are."""
    folder.mkdir(exist_ok=True)
    if account:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    return folder


def for_socket(wanted: Path, name: str, account: Account | None) -> Path:
    """Return a private folder for the socket `name`: `wanted`, or a short one in /tmp.

    The short one is taken where the path is too long for a socket, or would have to be quoted
    in a URL: not every client unquotes.
    """
    path = str(wanted / name)
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT and quote(path) == path:
        return private(wanted, account)
    owner = account.uid if account else os.geteuid()
    short = Path("/tmp", f"pagewire-{owner}-{_digest(wanted)}")  # noqa: S108 - checked below
    if not short.exists():
        private(short, account)
    if not _trusted(short, owner):
        raise CannotStart(f"{short} was made by somebody else: remove it, and start again.")
    return short


def _open_to_all(folder: Path) -> None:
    """Make a folder that everybody may enter, whatever the umask; leave one that is there."""
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o755)


def _trusted(folder: Path, owner: int) -> bool:
    """Tell whether `folder` is a real folder that only `owner` can change."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o022


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
