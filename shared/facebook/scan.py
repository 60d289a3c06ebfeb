"""Cut a JSON container into its parts, so that one bad part does not cost the others.

Whole and compact containers, which is what Facebook sends, are cut by a strict decoder. It
refuses a whole body for one bad part, and recurses into it; so whatever it refuses is cut by a
reader that counts brackets and skips strings, from left to right, without recursion.
"""

import re
from itertools import pairwise

import msgspec
from msgspec import Raw, Struct

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
"""All that decoding bytes of any kind may raise; the last three are not the first."""

_strict_elements = msgspec.json.Decoder(list[Raw]).decode
_strict_members = msgspec.json.Decoder(dict[str, Raw]).decode

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# The last quote is one that opens a string without end.
_TOKEN = re.compile(_STRING + rb'|,|[{\[]++|[}\]]++|"', re.DOTALL)
_MEMBER = re.compile(rb"\s*+(" + _STRING + rb")\s*+:(.++)", re.DOTALL)


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
    try:
        return Elements([bytes(part) for part in _strict_elements(data)], b"")
    except UNREADABLE:
        return Elements(*_cut(data)) if data.startswith(b"[") else None


def members(data: bytes) -> Members | None:
    """Cut an object; `None` if these bytes are none."""
    try:
        found = _strict_members(data)
    except UNREADABLE:
        return _carefully(data)
    # Of two members of one name the decoder keeps one: then the lengths do not add up.
    if sum(map(len, found)) + sum(map(len, found.values())) + 4 * len(found) + 1 != len(data):
        return _carefully(data)
    return Members([(name, bytes(value)) for name, value in found.items()], [], b"")


def depth(data: bytes) -> int:
    """Return how many containers stand in each other at the deepest place."""
    deepest = level = 0
    for run in _TOKEN.findall(data):
        if run[0] in b"{[":
            level += len(run)
            deepest = max(deepest, level)
        elif run[0] in b"}]":
            level -= len(run)
    return deepest


def _carefully(data: bytes) -> Members | None:
    if not data.startswith(b"{"):
        return None
    parts, rest = _cut(data)
    found: list[tuple[str, bytes]] = []
    odd: list[bytes] = []
    for part in parts:
        match = _MEMBER.fullmatch(part)
        name = _name(match[1]) if match else None
        if match and name is not None:
            found.append((name, match[2].strip()))
        else:
            odd.append(part)
    return Members(found, odd, rest)


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
