"""What the guides say exists: files, commands, links, and SQL that runs."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from cyclopts import CoercionError, MissingArgumentError, ValidationError

from ingress.cli.app import app
from shared.queue import JOBS
from tests.deploy.conftest import DEPLOY, Roles, psql
from tests.stack import ROOT, Stack

GUIDES = sorted((DEPLOY / "guides").glob("*.md"))
PATHS = r"(?<![\w/.])(?:ingress|worker|shared|deploy|tests)/[\w./-]+\w"
by_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@by_guide
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


async def test_the_original_systems_pages_keep_their_ids_and_tags(roles: Roles, tmp_path: Path):
    page_id, conversation, vip = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(3))
    operator = roles.database("operator")
    admin = await asyncpg.connect(roles.database("migrator"))
    await admin.execute(f"""
        create schema old;
        grant usage on schema old to pagewire_operator;
        create table old.facebook_pages (
            id uuid, facebook_page_id text, name text, access_token text, is_active boolean
        );
        create table old.messenger_conversations (id uuid, page_id text, sender_id text);
        create table old.tags (id uuid, name varchar(100), created_by uuid);
        create table old.conversation_tags (id uuid, conversation_id uuid, tag_id uuid);
        grant select on all tables in schema old to pagewire_operator;
        insert into old.facebook_pages values
            ('{page_id}', '1001', 'Corner shop', 'EAAold', true),
            (gen_random_uuid(), '2002', 'Closed shop', 'EAAold', false);
        insert into old.messenger_conversations values ('{conversation}', '1001', '7001');
        insert into old.tags values ('{vip}', 'VIP', gen_random_uuid());
        insert into old.conversation_tags values (gen_random_uuid(), '{conversation}', '{vip}');
    """)
    psql(operator, DEPLOY / "guides/examples/moving-pages.sql")
    # What the first full sync brings.
    await admin.execute(
        "insert into conversations (page_id, participant_id, id, platform)"
        " values ('1001', '7001', gen_random_uuid(), 'messenger')"
    )
    for _ in range(2):
        psql(operator, DEPLOY / "guides/examples/moving-tags.sql")
    await admin.close()

    stack = Stack(operator, roles.redis("operator"), tmp_path)
    added = await stack.command(
        "page", "add", "1001", "--name", "Shop", PAGE_ACCESS_TOKEN="EAAold1"
    )
    assert added["id"] == page_id
    assert await stack.rows("select facebook_page_id, status from facebook_pages order by 1") == [
        ("1001", "active"),
        ("2002", "paused"),
    ]
    assert await stack.rows("select participant_id, key, active from conversation_tags") == [
        ("7001", "VIP", True)
    ]
