"""Whom PostgreSQL runs as: it refuses to be root, so root lends it an account that exists."""

import contextlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import CannotStart


@dataclass(frozen=True)
class Account:
    """An account of this machine that is not root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def for_database(cls, data: Path) -> "Account | None":
        """Return whom to run PostgreSQL on `data` as; None: as ourselves.

        An existing `data` decides, since only its owner may start on it. A name must stand in
        the password file: initdb looks it up. No account is ever created.
        """
        if os.geteuid() != 0:
            return cls._none_if_we_have_a_name()
        wished = (os.environ.get("EMBEDDED_PG_OS_USER"), os.environ.get("SUDO_USER"))
        owner = data.owner() if data.exists() else None
        for name in filter(None, (owner, *wished, "postgres", "nobody")):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                if entry.pw_uid != 0:
                    return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)
        raise CannotStart(
            "PostgreSQL refuses to run as root, and there is no other account to run it as.\n"
            "Start Pagewire as an ordinary user, name an account in EMBEDDED_PG_OS_USER, "
            "or set DATABASE_URL."
        )

    @staticmethod
    def _none_if_we_have_a_name() -> None:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise CannotStart(
                f"PostgreSQL wants its user in the password file, and user id {os.geteuid()} is "
                "not there.\nAdd it, start Pagewire as another user, or set DATABASE_URL."
            ) from None

    def can(self, *command: str | Path) -> bool:
        """Tell whether `command` ends well when this account runs it."""
        with contextlib.suppress(OSError):
            done = subprocess.run(
                command,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            return done.returncode == 0
        return False
