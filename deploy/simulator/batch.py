"""The Batch API: up to fifty calls in one request, each answered on its own.

https://developers.facebook.com/docs/graph-api/batch-requests
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from deploy.simulator import errors
from deploy.simulator.calls import Answer, Call
from deploy.simulator.graph import Graph

LIMIT = 50


class Item(Struct):
    """One operation of a batch; `body` is a urlencoded string."""

    method: str
    relative_url: str
    body: str | None = None
    access_token: str | None = None


def read(value: Any) -> list[Item]:
    """Read the `batch` parameter: a JSON array, or a string that holds one.

    Raises Graph's errors for what is no batch and for more than fifty items.
    """
    try:
        raw = msgspec.json.decode(value) if isinstance(value, str) else value
        items = msgspec.convert(raw, list[Item])
    except (msgspec.MsgspecError, ValueError):
        raise errors.invalid("Invalid keys were found in param batch") from None
    if len(items) > LIMIT:
        message = f"Too many requests in batch message. Maximum batch size is {LIMIT}"
        failure = errors.FAILURES["100"]
        raise errors.GraphError(replace(failure, message=message, type="GraphBatchException"))
    return items


def calls(items: list[Item], outer: Call) -> list[Call]:
    """Return the calls of a batch; the outer token and proof serve those without their own."""
    return [_call(item, outer) for item in items]


def _call(item: Item, outer: Call) -> Call:
    url = urlsplit("/" + item.relative_url.lstrip("/"))
    path, version = split_version(url.path)
    parameters = dict(parse_qsl(url.query, keep_blank_values=True))
    parameters |= dict(parse_qsl(item.body or "", keep_blank_values=True))
    token = parameters.pop("access_token", None) or item.access_token
    proof = parameters.pop("appsecret_proof", None)
    return Call(
        method=parameters.pop("method", item.method).upper(),
        path=path,
        base=outer.base,
        version=version or outer.version,
        parameters=parameters,
        token=token or outer.token,
        proof=proof or (outer.proof if token in {None, outer.token} else None),
        batched=True,
    )


async def answer(graph: Graph, asked: list[Call]) -> list[Answer]:
    """Answer the calls in order, letting others have their turn in between."""
    answers = []
    for call in asked:
        answers.append(await graph.answer(call))
        await asyncio.sleep(0)
    return answers


def encode(answers: list[Answer], common: Mapping[str, str], *, headers: bool) -> bytes:
    """Return the body of the whole: one entry a call, its reply as a string, or null."""
    return msgspec.json.encode([_entry(answer, common, headers=headers) for answer in answers])


def _entry(answer: Answer, common: Mapping[str, str], *, headers: bool) -> dict[str, Any] | None:
    if answer.body is None:
        return None
    entry: dict[str, Any] = {"code": answer.http}
    if headers:
        pairs = {**common, **answer.headers}
        entry["headers"] = [{"name": name, "value": value} for name, value in pairs.items()]
    entry["body"] = answer.body.decode()
    return entry


def split_version(path: str) -> tuple[str, str | None]:
    """Split `/v26.0/me/accounts/` into `me/accounts` and `v26.0`."""
    parts = [part for part in path.split("/") if part]
    if parts and _is_version(parts[0]):
        return "/".join(parts[1:]), parts[0]
    return "/".join(parts), None


def _is_version(part: str) -> bool:
    major, dot, minor = part[1:].partition(".")
    return part[0] == "v" and bool(dot) and major.isdigit() and minor.isdigit()
