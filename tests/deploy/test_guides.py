"""What the guides say exists: files, commands, links, and SQL that runs."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import asyncpg
import pytest
from cyclopts import CoercionError, MissingArgumentError, ValidationError

from deploy.local import binaries
from ingress.cli.app import app
from shared.queue import JOBS
from tests.deploy.conftest import DEPLOY, Roles
from tests.stack import ROOT, Stack

GUIDES = sorted((DEPLOY / "guides").glob("*.md"))
PATHS = r"(?<![\w/.])(?:ingress|worker|shared|deploy|tests)/[\w./-]+\w"
by_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize(
    "guide", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *GUIDES], ids=lambda path: path.stem
)
def test_every_link_leads_somewhere(guide: Path):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", guide.read_text()):
        name, _, anchor = target.partition("#")
        path = (guide.parent / name).resolve() if name else guide
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path.read_text()), target


@by_guide
def test_every_file_it_names_exists(guide: Path):
    ours = [ROOT / package for package in ("ingress", "worker", "shared", "deploy", "tests")]
    names = {file.name for package in ours for file in package.rglob("*") if file.is_file()}
    for path in set(re.findall(PATHS, guide.read_text())):
        if "yours" not in path:
            assert (ROOT / path).exists(), path
    for name in set(re.findall(r"\b[a-z_]+\.(?:py|sql)\b", guide.read_text())):
        assert name in names, name


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each `pagewire …` of a text."""
    command = r"(?:^|[\s`/|])(?<!--namespace )pagewire ((?:[a-z-]+\b)[^`\n<)|]*)"
    for line in re.findall(command, text, re.MULTILINE):
        with_words = (
            line.split("#")[0].split(" · ")[0].replace("…", "word").strip().rstrip("\\,.:;")
        )
        yield shlex.split(with_words)


@by_guide
def test_every_command_it_shows_is_understood(guide: Path):
    for tokens in _commands(guide.read_text()):
        # Its arguments may be left out where a command is only named.
        with contextlib.suppress(MissingArgumentError, CoercionError, ValidationError):
            app.parse_args(tokens, exit_on_error=False, print_error=False)


def test_the_guide_to_jobs_has_every_job_and_every_argument():
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \|", (DEPLOY / "guides/jobs.md").read_text(), re.MULTILINE
    )
    told = {name: set(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}
    declared = {name: set(kind.__struct_fields__) for name, kind in JOBS.items()}
    assert {name: told[name] for name in told if name in declared} == declared


def _blocks(guide: str) -> list[str]:
    """Return what a guide says to type, in its order."""
    return re.findall(r"```\w*\n(.*?)```", (DEPLOY / "guides" / guide).read_text(), re.DOTALL)


OLD = """
    create table facebook_pages (
        id uuid, facebook_page_id text, name text, access_token text, is_active boolean
    );
    create table messenger_conversations (id uuid, page_id text, sender_id text);
    create table tags (id uuid, name varchar(100), created_by uuid);
    create table conversation_tags (id uuid, conversation_id uuid, tag_id uuid);
    insert into facebook_pages values
        ('{page}', '1001', 'Corner shop', 'EAAold', true),
        (gen_random_uuid(), '2002', 'Closed shop', 'EAAold', false);
    insert into messenger_conversations values ('{conversation}', '1001', '7001');
    insert into tags values ('{tag}', 'VIP', gen_random_uuid());
    insert into conversation_tags values (gen_random_uuid(), '{conversation}', '{tag}');
"""
"""What of the original system's tables is moved."""


async def test_who_moves_from_the_original_system_as_the_guide_says_keeps_ids_and_tags(
    roles: Roles, empty_database: str, postgres_server: str, tmp_path: Path
):
    page, conversation, tag = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(3))
    old = "old_" + empty_database.partition("@/")[2].partition("?")[0]
    await _execute(postgres_server, f"create database {old}")
    await _execute(
        postgres_server.replace("/postgres?", f"/{old}?"),
        OLD.format(page=page, conversation=conversation, tag=tag),
    )
    to_see, to_import, to_move, to_tag, _, to_clean = _blocks("moving.md")
    here = {
        "'old-host'": f"'{postgres_server.partition('host=')[2]}'",
        "'postgres'": f"'{old}'",
        "user '…', password '…'": "user 'pagewire', password_required 'false'",
    }
    for said, meant in here.items():
        assert said in to_see
        to_see = to_see.replace(said, meant)
    stack = Stack(roles.database("operator"), roles.redis("operator"), tmp_path)

    await _execute(empty_database, to_see)
    await _execute(roles.database("operator"), to_import)
    _type(to_move, stack, tmp_path)
    assert await stack.rows(
        "select id::text, facebook_page_id, status, access_token is not null"
        " from facebook_pages order by facebook_page_id"
    ) == [(page, "1001", "active", True), (ANY, "2002", "paused", False)]

    # What the first full sync brings.
    await _execute(
        empty_database,
        "insert into conversations (page_id, participant_id, id, platform)"
        " values ('1001', '7001', gen_random_uuid(), 'messenger')",
    )
    for _ in range(2):
        _type(to_tag, stack, tmp_path)
    assert await stack.rows("select participant_id, key, active from conversation_tags") == [
        ("7001", "VIP", True)
    ]
    await _execute(empty_database, to_clean)
    await _execute(postgres_server, f"drop database {old}")


def _type(commands: str, stack: Stack, folder: Path) -> None:
    """Do in a shell what a person does there, in the checkout, as an operator."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "pagewire").write_text(f'#!/bin/sh\nexec {sys.executable} -m ingress.cli "$@"\n')
    (programs / "pagewire").chmod(0o755)
    path = (str(programs), str(binaries.postgres().path.parent), os.environ["PATH"])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=ROOT,
        env=stack.environment | {"PATH": ":".join(path), "OPERATOR_URL": stack.postgres},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
