"""Cut a JSON container into its parts, whatever they hold.

A decoder refuses a whole body for one bad part, and recurses into it. This counts brackets and
skips strings, from left to right and without recursion, so that one part cannot cost the others.
"""

import re
from itertools import pairwise

import msgspec
from msgspec import Struct

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
"""All that decoding bytes of any kind may raise; the last three are not the first."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# The last quote opens a string without end: all readers stop there, or each quote behind it
# would be tried as a beginning, which takes the square of the length.
_TOKEN = re.compile(_STRING + rb'|,|[{\[]++|[}\]]++|"', re.DOTALL)
_MEMBER = re.compile(rb"(" + _STRING + rb")\s*+:\s*+(.++)", re.DOTALL)


class Elements(Struct, frozen=True):
    """The elements of an array, each with its bytes.

    `rest` is what came after its end, where nothing may come. It is `None` if there was no end:
    then the last element may be cut short.
    """

    parts: list[bytes]
    rest: bytes | None


class Members(Struct, frozen=True):
    """The members of an object in their order, doubles too; `odd` are parts that are none."""

    parts: list[tuple[str, bytes]]
    odd: list[bytes]
    rest: bytes | None


def elements(data: bytes) -> Elements | None:
    """Cut an array; `None` if these bytes are none."""
    return Elements(*_cut(data)) if data.startswith(b"[") else None


def members(data: bytes) -> Members | None:
    """Cut an object; `None` if these bytes are none."""
    if not data.startswith(b"{"):
        return None
    parts, rest = _cut(data)
    found: list[tuple[str, bytes]] = []
    odd: list[bytes] = []
    for part in parts:
        match = _MEMBER.fullmatch(part)
        name = _name(match[1]) if match else None
        if match and name is not None:
            found.append((name, match[2]))
        else:
            odd.append(part)
    return Members(found, odd, rest)


def depth(data: bytes) -> int:
    """Return how many containers stand in each other at the deepest place."""
    deepest = level = 0
    for token in _TOKEN.finditer(data):
        run = token[0]
        if run[0] in b"{[":
            level += len(run)
            deepest = max(deepest, level)
        elif run[0] in b"}]":
            level -= len(run)
        elif run == b'"':
            break
    return deepest


def _name(string: bytes) -> str | None:
    try:
        return msgspec.json.decode(string, type=str)
    except UNREADABLE:
        return None


def _cut(data: bytes) -> tuple[list[bytes], bytes | None]:
    """Cut a container, whose bracket opens `data`, at its commas; and say what follows its end."""
    cuts, level, rest = [0], 0, None
    for token in _TOKEN.finditer(data, 1):
        run = token[0]
        if run == b"," and level == 0:
            cuts.append(token.start())
        elif run[0] in b"{[":
            level += len(run)
        elif run[0] in b"}]" and len(run) <= level:
            level -= len(run)
        elif run[0] in b"}]":
            cuts.append(token.start() + level)
            rest = data[cuts[-1] + 1 :].strip()
            break
        elif run == b'"':
            cuts.append(len(data))
            break
    else:
        cuts.append(len(data))
    parts = [data[start + 1 : end].strip() for start, end in pairwise(cuts)]
    return [part for part in parts if part], rest
