"""Each kind of knowledge has one place, and a word of it elsewhere is found."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# From Python 3.12 on, the text within an f-string is a token of its own.
TEXT = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
BEGINS_A_STATEMENT = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def _texts(*places: str, but: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield (file, text) for each string in the code of `places` that is not documentation."""
    for path in (path for place in places for path in sorted((REPOSITORY / place).rglob("*.py"))):
        file, before = str(path.relative_to(REPOSITORY)), tokenize.NEWLINE
        if file.startswith(but):
            continue
        with tokenize.open(path) as source:
            for token in tokenize.generate_tokens(source.readline):
                if token.type in TEXT and before not in BEGINS_A_STATEMENT:
                    yield file, token.string.strip("\"'rbf")
                if token.type not in (tokenize.NL, tokenize.COMMENT):
                    before = token.type


SQL = re.compile(
    r"^\s*(select\b.*\bfrom\b|insert\s+into\b|update\s+\w+\s+set\b|delete\s+from\b"
    r"|with\s+\w+\s+as\b|(create|alter|drop)\s+(table|index|database)\b)",
    re.IGNORECASE | re.DOTALL,
)


def test_sql_stands_only_in_the_store_and_in_the_backlog():
    elsewhere = _texts("ingress", "worker", "shared", but=("shared/store/", "shared/backlog/"))
    assert [(file, text) for file, text in elsewhere if SQL.match(text)] == []
    assert any(SQL.match(text) for _, text in _texts("shared/backlog"))


ITS_REQUESTS = re.compile(
    r"hub\.(mode|challenge|verify_token)|x-hub-signature|signed_request", re.IGNORECASE
)
ITS_CONTENT = re.compile(
    r"\bis_echo\b|\bquick_reply\b|\bsticker_id\b|messaging_postbacks|pass_thread_control"
    r"|appsecret_proof|fb_exchange|/me/accounts|subscribed_apps"
)
# The log knows what it must not show; the settings say what a secret is for.
FACEBOOK = ("shared/facebook/", "shared/log.py", "shared/config.py")


@pytest.mark.parametrize(
    ("words", "places"),
    [
        pytest.param(ITS_CONTENT, FACEBOOK, id="content"),
        pytest.param(ITS_REQUESTS, (*FACEBOOK, "ingress/webhook/"), id="requests"),
    ],
)
def test_facebooks_words_stand_only_in_facebook(words: re.Pattern[str], places: tuple[str, ...]):
    """What a request to the webhook looks like, its door may know as well."""
    elsewhere = _texts("ingress", "worker", "shared", but=places)
    assert [(file, text) for file, text in elsewhere if words.search(text)] == []
    assert any(words.search(text) for _, text in _texts("shared/facebook", "ingress/webhook"))
