"""Where the settings come from, and what a person is told when they are wrong."""

from pathlib import Path

import pytest

from tests.integration.cli.called import KEY, Command


@pytest.fixture
def local(tmp_path: Path, database: str, redis_url: str) -> Path:
    """What a running `make run` in this folder has written."""
    folder = tmp_path / ".pagewire"
    folder.mkdir()
    (folder / "env").write_text(
        f"DATABASE_URL={database}\nREDIS_URL={redis_url}\nTOKEN_ENCRYPTION_KEYS={KEY}\n"
    )
    return folder / "env"


@pytest.mark.usefixtures("local")
async def test_beside_a_running_make_run_nothing_needs_to_be_set(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGE_ACCESS_TOKEN", "token")
    assert (await run("page", "add", "1", "--name", "One")).status == 0
    monkeypatch.setenv("DATABASE_URL", "")
    assert len((await run("page", "list", "--json")).json) == 1


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL"])
async def test_half_a_deployment_is_never_mixed_with_the_local_one(
    run: Command, local: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/nowhere" if name.endswith("FILE") else "redis://elsewhere")
    sources = {row["source"] for row in (await run("config", "--json")).json}
    assert ".pagewire/env" not in sources


@pytest.mark.parametrize(
    ("file", "advice"), [(".pagewire/env", "`make run`"), (".env", "DATABASE_URL (.env)")]
)
async def test_a_server_that_ended_is_told_by_where_its_setting_comes_from(
    run: Command, tmp_path: Path, file: str, advice: str
) -> None:
    (tmp_path / ".pagewire").mkdir()
    (tmp_path / file).write_text("DATABASE_URL=postgresql://127.0.0.1:1/x\n")
    assert advice in (await run("page", "list")).err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/x", "nothing listens there"),
        ("postgresql://user:hunter2@nowhere.invalid/x", "its host is unknown"),
        ("postgresql://user:hunter2@host:port/x", "not one Postgres can be reached by"),
        ("postgresql:///x?host=/nowhere&password=hunter2", "nothing listens there"),
        ("mysql://user:hunter2@host/x", "postgresql://"),
        ("", "DATABASE_URL is not set"),
    ],
)
@pytest.mark.parametrize("command", [["page", "list"], ["migrate"]])
async def test_a_database_out_of_reach_is_named_without_its_value(
    run: Command, monkeypatch: pytest.MonkeyPatch, url: str, why: str, command: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    ended = await run(*command)
    assert (ended.status, ended.out) == (1, "")
    assert why in ended.err
    assert "DATABASE_URL" in ended.err
    assert "hunter2" not in ended.err
    assert len(ended.err.splitlines()) == 3


async def test_a_database_that_is_not_there_is_told_from_a_server_that_is_not(
    run: Command, monkeypatch: pytest.MonkeyPatch, postgres_server: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_server.replace("/postgres?", "/nowhere?"))
    assert "no database of that name" in (await run("page", "list")).err


async def test_every_wrong_setting_is_told_at_once_without_its_value(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_SLICE", "hunter2")
    monkeypatch.setenv("TOKEN_ENCRYPTION_KEYS", "hunter2")
    ended = await run("page", "list")
    assert ended.status == 1
    for name in ("SYNC_SLICE", "TOKEN_ENCRYPTION_KEYS", "DATABASE_URL"):
        assert name in ended.err
    assert "hunter2" not in ended.err


async def test_a_token_without_a_key_to_encrypt_it_is_not_stored(
    run: Command, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    ended = await run("page", "add", "1", "--name", "x", "--token-file", "-", stdin="token")
    assert ended.status == 1
    assert "TOKEN_ENCRYPTION_KEYS is not set" in ended.err


SECRET_URLS = {
    "DATABASE_URL": "postgresql://user:hunter2@db.example:5432/pagewire?sslpassword=hunter2",
    "DATABASE_READ_URL": "postgresql://user:hunt/er2@db.example/pagewire",
    "REDIS_URL": "redis://:hunt?er2@cache.example:6379/0",
    "CACHE_REDIS_URL": "redis+sentinel://user:hunter2@one:1,two:2/main",
}


async def test_config_shows_what_is_set_and_where_and_no_secret(
    run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, url in SECRET_URLS.items():
        monkeypatch.setenv(name, url)
    (tmp_path / ".env").write_text("WEBHOOK_VERIFY_TOKEN=hunter2\nSYNC_SLICE=50\n")
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("FACEBOOK_APP_SECRET_FILE", str(tmp_path / "secret"))
    ended = await run("config", "--json")
    rows = {row["name"]: (row["value"], row["source"]) for row in ended.json}
    assert rows["DATABASE_URL"] == ("postgresql://db.example:5432/pagewire", "environment")
    assert rows["DATABASE_READ_URL"] == ("***", "environment")
    assert rows["REDIS_URL"] == ("***", "environment")
    assert rows["CACHE_REDIS_URL"] == ("redis+sentinel://one:1,two:2/main", "environment")
    assert rows["WEBHOOK_VERIFY_TOKEN"] == ("***", ".env")
    assert rows["SYNC_SLICE"] == ("50", ".env")
    assert rows["FACEBOOK_APP_SECRET"] == ("***", "environment, FACEBOOK_APP_SECRET_FILE")
    assert rows["SYNC_MESSAGES"] == ("25", "default")
    for shown in (ended, await run("config")):
        assert "hunter2" not in shown.out
        assert "er2" not in shown.out


async def test_config_shows_wrong_settings_too(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_SLICE", "many")
    ended = await run("config")
    assert ended.status == 1
    assert "many" in ended.out
    assert "SYNC_SLICE must be a whole number" in ended.err
