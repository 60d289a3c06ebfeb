"""No statement reads a Page's rows without being told whose rows may be seen."""

import re

import pytest

from shared.store import queries

NOT_ABOUT_PAGES = {
    "reading.sql": {"plan_anew", "merge_new_words"},
    "tags.sql": set(),
}
# Parts of other statements, which have the condition.
PARTS = {"conversations", "before", "found"}


def statements() -> list[tuple[str, str]]:
    return [
        (file, name)
        for file, others in NOT_ABOUT_PAGES.items()
        for name in queries.load(file)
        if name not in others | PARTS and not name.startswith("wanted_")
    ]


@pytest.mark.parametrize(("file", "name"), statements())
def test_a_statement_takes_the_pages_that_may_be_seen(file: str, name: str) -> None:
    sql = queries.load(file)[name]
    assert re.search(
        r"\$1::text\[\] is null or [\w.]+ = any\(\$1\)|unnest\(\$1::text\[\]\) as mine", sql
    )


def test_a_choice_of_conversations_is_always_one_of_those_that_do() -> None:
    parts = queries.load("reading.sql")
    assert {name for name in parts if "{chosen}" in parts[name]} == {"conversations"}
    assert {name for name in parts if name.startswith("chosen_")} <= {
        one for _, one in statements()
    }
