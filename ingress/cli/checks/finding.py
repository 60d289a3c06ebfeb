"""What a check tells: one thing that is well, or not and then what to do."""

from datetime import datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

Problem: TypeAlias = tuple[str, str]
"""What is wrong, and what to do."""


class Finding(Struct, frozen=True, kw_only=True):
    """One line of `pagewire doctor`."""

    subject: str
    ok: bool
    text: str
    fix: str = ""


def judged(subject: str, told: str, problems: list[Problem]) -> Finding:
    """Return a finding that is well when there is no problem."""
    return Finding(
        subject=subject,
        ok=not problems,
        text="; ".join([*(what for what, _ in problems if what), told]),
        fix=" ".join(dict.fromkeys(fix for _, fix in problems if fix)),
    )


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in words."""
    return "never" if moment is None else f"{span(now - moment)} ago"


def span(length: timedelta) -> str:
    """Return a length of time in words."""
    seconds = max(0, int(length.total_seconds()))
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"
