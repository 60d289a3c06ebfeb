"""`pagewire migrate`: the database is brought up to date, or it is said that it is not."""

import pytest

from shared.store.migrate import files
from tests.integration.cli.called import Command


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, empty_database: str) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)


async def test_what_is_missing_is_named_and_then_applied(run: Command) -> None:
    check = await run("migrate", "--check")
    assert (check.status, check.out.split()) == (3, list(files()))
    done = await run("migrate", "--json")
    assert (done.status, done.json) == (0, {"applied": list(files())})
    again = await run("migrate", "--check")
    assert (again.status, again.out) == (0, "")


async def test_every_other_command_says_what_to_do_first(run: Command) -> None:
    for command in (["page", "list"], ["key", "list"], ["dead", "list"]):
        ended = await run(*command)
        assert (ended.status, ended.out) == (1, "")
        assert "not up to date" in ended.err
        assert "pagewire migrate" in ended.err
