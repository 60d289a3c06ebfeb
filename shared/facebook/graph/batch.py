"""Many questions in one HTTP request: the Batch API, packed and unpacked.

https://developers.facebook.com/docs/graph-api/batch-requests
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct, field

from shared.errors import Unreadable
from shared.facebook.graph.replies import Reply, reply_of
from shared.facebook.graph.requests import Request

LIMIT = 50
"""Sub-requests a batch may hold; each counts as a call of its own."""


class _Header(Struct):
    name: str = ""
    value: str = ""


class _Item(Struct):
    code: int
    body: str = ""
    headers: list[_Header] = field(default_factory=list)


def pack(requests: Sequence[Request]) -> Request:
    """Return one POST that asks all `requests`, each with its own token and proof in it.

    Raises ValueError for more than 50, or for one that is not a GET.
    """
    if len(requests) > LIMIT or any(request.method != "GET" for request in requests):
        raise ValueError(f"a batch holds at most {LIMIT} GETs")
    items = [
        {"method": request.method, "relative_url": request.relative_url()} for request in requests
    ]
    return Request(
        path="",
        parameters=(("include_headers", "true"), ("batch", msgspec.json.encode(items).decode())),
        method="POST",
        about="app",
    )


def unpack(outer: Reply, size: int) -> list[Reply | None]:
    """Return the reply of each sub-request, in order; None where Facebook did not get to it.

    Each is judged alone: the outer status is 200 though all of them failed. Raises Unreadable
    when the answer is no batch of that size.
    """
    try:
        items = msgspec.json.decode(outer.body, type=list[_Item | None])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable("Facebook's answer is no batch.") from error
    if len(items) != size:
        raise Unreadable(f"Facebook answered {len(items)} of {size} requests in a batch.")
    return [None if item is None else _reply(item, outer.date_ms) for item in items]


def _reply(item: _Item, date_ms: int) -> Reply:
    headers = {header.name.lower(): header.value for header in item.headers}
    return reply_of(item.code, headers, item.body.encode(errors="surrogatepass"), date_ms)
