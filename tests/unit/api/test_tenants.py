"""No statement of the API reads a Page's rows without being told whose rows may be seen."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.store import queries

ROOT = Path(__file__).parents[3]
API = sorted((ROOT / "ingress/api").glob("*.py"))
STORE = ROOT / "shared/store"

IS_TOLD = re.compile(
    r"\$(\d)::text\[\] is null or [\w.]+ = any\(\$\1\)|unnest\(\$1::text\[\]\) as mine"
)
PARTS = {
    "before": "stands within the two that choose conversations",
    "conversations": "stands around one that chooses them",
    "found": "stands around two that do",
    "wanted_unread": "stands within them",
    "wanted_tag": "stands within them",
    "wanted_in_messages": "stands within them",
    "wanted_in_names": "stands within them",
}
# What reads no Page's rows, or is told by the caller which one, whom it was looked up for.
NOT_TOLD = {
    "plan_anew": "reads no row",
    "now": "a position of the feed, of no Page",
    "position_is_good": "a position of the feed, of no Page",
    "find_key": "whose key it is, is what decides about the Pages",
    "note_key_use": "of the key that was presented",
    "open_session": "of the key that was presented",
    "find_session": "whose session it is, is what decides about the Pages",
    "close_session": "of the session that was presented",
    "add_page": "of a Page that the key names, checked against the key",
    "is_page": "whether an id is taken, for whoever sees all Pages",
    "give_token": "of a Page that was looked up for the key",
    "change_page": "of a Page that was looked up for the key",
    "set_page_status": "of a Page that was looked up for the key",
    "remove_page": "of a Page that was looked up for the key",
    "purge_rows": "of a Page that was looked up for the key",
    "purge_page": "of a Page that was looked up for the key",
    "lock_lane": "reads no row",
    "open_runs": "of a Page that was looked up for the key",
    "was_walked": "of a Page that was looked up for the key",
    "insert_run": "of a Page that was looked up for the key",
    "join_run": "of a Page that was looked up for the key",
    "find_run": "of the sync that was just asked for",
    "expected": "of syncs that were looked up for the key",
    "insert_batch": "reads no row",
    "insert_members": "of the syncs that were just asked for",
    "settle_batches": "of the syncs that were just asked for",
    "merge_new_words": "a worker's, reads no row",
    "active_pages": "only where no Pages are given, which the API always does",
}
# Of the same name as one above, in another file.
TOLD_ALL_THE_SAME = {("reading.sql", "open_runs")}


def used_by_the_api() -> set[tuple[str, str]]:
    """Return the functions and classes of the store that the API calls: (module, name)."""
    found = set()
    for file in API:
        tree = ast.parse(file.read_text())
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "shared.store":
                modules |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "shared.store."
            ):
                module = node.module.rpartition(".")[2]
                found |= {(module, alias.name) for alias in node.names}
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name(id=module)) if module in modules:
                    found.add((modules[module], node.attr))
    return found


def reached(module: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the statements a function of the store runs, by itself or by others of its module."""
    tree = ast.parse((STORE / f"{module}.py").read_text())
    defined = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    loads = re.search(r'_SQL = queries\.load\("(\w+\.sql)"\)', (STORE / f"{module}.py").read_text())
    todo, seen = [name], set()
    while todo:
        current = todo.pop()
        if current in seen or current not in defined:
            continue
        seen.add(current)
        for node in ast.walk(defined[current]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                todo.append(node.func.id)
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "_SQL":
                names = [
                    part.value
                    for part in ast.walk(node.slice)
                    if isinstance(part, ast.Constant) and part.value in queries.load(loads[1])
                ]
                assert names or isinstance(node.slice, ast.JoinedStr | ast.Name), ast.unparse(node)
                yield from ((loads[1], one) for one in names)


STATEMENTS = sorted(
    {one for module, name in used_by_the_api() for one in reached(module, name)}
    | {("reading.sql", name) for name in queries.load("reading.sql")}
    | {("tags.sql", name) for name in queries.load("tags.sql")}
    | {("dead.sql", name) for name in ("dead_groups", "list_dead", "show_dead", "discard_dead")}
)


@pytest.mark.parametrize(("file", "name"), STATEMENTS)
def test_a_statement_of_the_api_takes_the_pages_that_may_be_seen(file: str, name: str) -> None:
    """Whoever adds one writes the condition into it, or the reason why there is none."""
    told = IS_TOLD.search(queries.load(file)[name])
    assert (told is None) == (name in PARTS | NOT_TOLD and (file, name) not in TOLD_ALL_THE_SAME)


def test_the_statements_were_found() -> None:
    """Otherwise there would be nothing to look at."""
    assert {("feed.sql", "changes_since"), ("pages.sql", "find_page")} < {*STATEMENTS}
    assert len(STATEMENTS) > 40


def test_a_choice_of_conversations_is_always_one_of_those_that_do() -> None:
    parts = queries.load("reading.sql")
    assert {name for name in parts if "{chosen}" in parts[name]} == {"conversations"}
    assert {name for name in parts if name.startswith("chosen_")} & (PARTS | NOT_TOLD).keys() == (
        set()
    )
