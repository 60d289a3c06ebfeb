"""Releases run side by side for a while: a migration takes nothing from the one before."""

import re

import pytest

from shared.store.migrate import files

FIRST, *LATER = files().items()
CONTRACT = "-- contract:"
"""The first words of a migration that takes away what the last release no longer touches; they are
followed by the reason why nobody does."""

TAKES = {
    "drops": r"\bdrop\s+(?:table|column|type|schema|view|constraint)\b",
    "renames": r"\brename\b",
    "empties": r"\btruncate\b",
    "changes a type": r"\balter\s+(?:column\s+)?\w+\s+(?:set\s+data\s+)?type\b",
    "refuses what was allowed": r"\bset\s+not\s+null\b|\badd\s+constraint\b.*\bcheck\b",
    "asks for what nobody gives": (
        r"\badd\s+(?:column\s+)?\w+\s+[^,;]*\bnot\s+null\b(?![^,;]*\b(?:default|generated)\b)"
    ),
}


def taken(sql: str) -> list[str]:
    """What a migration does that a running release may not survive."""
    if sql.startswith(CONTRACT):
        return []
    # What a function does when it is called, and what is said, is not done now.
    bare = re.sub(r"\$(\w*)\$.*?\$\1\$|--[^\n]*|'[^']*'", "", sql, flags=re.DOTALL)
    one_line = " ".join(bare.split())
    return [name for name, pattern in TAKES.items() if re.search(pattern, one_line, re.IGNORECASE)]


@pytest.mark.parametrize(("name", "sql"), LATER, ids=[name for name, _ in LATER])
def test_a_migration_only_adds(name: str, sql: str):
    assert taken(sql) == [], f"expand now, contract a release later, under `{CONTRACT}` and why"


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("alter table messages drop column text;", "drops"),
        ("alter table a rename column b to c;", "renames"),
        ("alter table a alter column b type bigint;", "changes a type"),
        ("alter table a alter b set not null;", "refuses what was allowed"),
        ("alter table a add column b text not null, add c int;", "asks for what nobody gives"),
    ],
)
def test_what_would_break_a_running_release_is_found(sql: str, what: str):
    assert taken(sql) == [what]
    assert taken(f"{CONTRACT} nobody has read it since 0.2\n{sql}") == []


def test_what_adds_is_let_through():
    assert taken("alter table a add b text not null default '', add c int; -- drop table x") == []
    assert (
        taken("alter table a add column b boolean not null generated always as (true) stored") == []
    )


def test_every_number_is_given_once():
    numbers = [name.partition("_")[0] for name in files()]
    assert numbers == sorted(set(numbers))
