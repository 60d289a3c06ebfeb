"""Field expansion: `id,messages.limit(2){id,from}` as a tree.

https://developers.facebook.com/docs/graph-api/guides/field-expansion
"""

import re
from functools import lru_cache

from msgspec import Struct

from deploy.simulator import errors

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[{},]|\.([a-z_]+)\(([^()]*)\))")


class Field(Struct, frozen=True):
    """One asked-for field; `modifiers` are its `.limit(2)`, `.after(X)` and so on."""

    name: str
    modifiers: tuple[tuple[str, str], ...] = ()
    children: tuple["Field", ...] | None = None

    def modifier(self, name: str) -> str | None:
        """Return the argument of the modifier, None when it is not there."""
        return dict(self.modifiers).get(name)


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Field, ...]:
    """Read a `fields` parameter; empty gives no fields. Raises Graph's 2500 for bad syntax."""
    tokens = _tokens(text)
    fields, end = _list(tokens, 0)
    if end != len(tokens):
        raise errors.syntax(f"Syntax error: unexpected {tokens[end][0]!r} in fields")
    return fields


def _tokens(text: str) -> list[tuple[str, str | None, str]]:
    tokens, end, text = [], 0, text.strip()
    while end < len(text):
        match = _TOKEN.match(text, end)
        if not match:
            raise errors.syntax(
                f"Syntax error \"Expected end of string instead of '{text[end]}'.\" "
                f"at character {end}: {text}"
            )
        tokens.append((match[1], match[2], match[3]))
        end = match.end()
    return tokens


def _list(tokens: list[tuple[str, str | None, str]], at: int) -> tuple[tuple[Field, ...], int]:
    """Read fields up to a closing brace or the end; Facebook forgives a comma at the end."""
    fields = []
    while at < len(tokens) and tokens[at][0] != "}":
        if tokens[at][0] == ",":
            at += 1
            continue
        field, at = _field(tokens, at)
        fields.append(field)
    return tuple(fields), at


def _field(tokens: list[tuple[str, str | None, str]], at: int) -> tuple[Field, int]:
    name, modifiers, children = tokens[at][0], [], None
    if not name[0].isalpha() and name[0] != "_":
        raise errors.syntax(f"Syntax error: unexpected {name!r} in fields")
    at += 1
    while at < len(tokens):
        word, modifier, argument = tokens[at]
        if modifier is not None:
            modifiers.append((modifier, argument))
            at += 1
        elif word == "{":
            children, at = _list(tokens, at + 1)
            if at == len(tokens):
                raise errors.syntax("Syntax error: a brace is not closed in fields")
            at += 1
        else:
            break
    return Field(name, tuple(modifiers), children), at


def text(fields: tuple[Field, ...]) -> str:
    """Write fields the way they were asked for."""
    return ",".join(_text(field) for field in fields)


def _text(field: Field) -> str:
    modifiers = "".join(f".{name}({argument})" for name, argument in field.modifiers)
    children = "" if field.children is None else "{" + text(field.children) + "}"
    return f"{field.name}{modifiers}{children}"
