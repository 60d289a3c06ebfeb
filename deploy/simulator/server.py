"""The Graph API over HTTP: reads requests, lets whole requests go wrong, records every call."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from deploy.simulator import batch, ids
from deploy.simulator.calls import Answer, Call, Calls, Record
from deploy.simulator.clock import Clock
from deploy.simulator.config import Modes
from deploy.simulator.errors import GraphError
from deploy.simulator.faults import Fault, Faults
from deploy.simulator.graph import Graph

MAX_BODY = 8 * 1024 * 1024
_HTML = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong."
_JSON = "application/json; charset=UTF-8"
_ITEM_JSON = "text/javascript; charset=UTF-8"


class GraphServer:
    """Handles every request that is not for the simulator itself."""

    def __init__(
        self, graph: Graph, modes: Modes, clock: Clock, faults: Faults, calls: Calls
    ) -> None:
        self._graph = graph
        self._modes = modes
        self._clock = clock
        self._faults = faults
        self._calls = calls

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request: a call, or a batch of them."""
        number, started = self._calls.number(), time.perf_counter()
        call, items = await _read(request)
        page = self._graph.page_of(call)
        fault = self._faults.strike_request(page.id if page else None, f"/{call.path}")
        if fault and fault.kind == "slow":
            await self._faults.hold_up(fault)
        if fault and fault.kind in {"html503", "unavailable200"}:
            http = 503 if fault.kind == "html503" else 200
            answer = Answer(http=http, body=b"", headers={}, page=page.id if page else None)
        elif items is None:
            answer = await self._graph.answer(call)
        else:
            answer = await self._batch(number, call, items)
        if (left := started + self._modes.latency - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        self._record(number, None, call, answer, started)
        return await self._reply(request, number, answer, fault)

    async def _batch(self, number: int, outer: Call, value: Any) -> Answer:
        started = time.perf_counter()
        try:
            self._graph.check(outer)
            items = batch.read(value)
        except GraphError as error:
            return self._graph.refuse(outer, error)
        calls = batch.calls(items, outer)
        answers = await batch.answer(self._graph, calls)
        for item, (call, answer) in enumerate(zip(calls, answers, strict=True)):
            self._record(number, item, call, answer, started)
        wanted = outer.parameters.get("include_headers", "true").lower() != "false"
        body = batch.encode(answers, {"Content-Type": _ITEM_JSON}, headers=wanted)
        return self._graph.accept(outer, body)

    def _record(
        self, number: int, item: int | None, call: Call, answer: Answer, started: float
    ) -> None:
        self._calls.add(
            Record(
                request=number,
                item=item,
                at_ms=self._clock.now_ms(),
                milliseconds=(time.perf_counter() - started) * 1000,
                method=call.method,
                path=f"/{call.path}",
                page=answer.page,
                parameters=call.parameters,
                http=answer.http,
                code=answer.code,
                subcode=answer.subcode,
            )
        )

    async def _reply(
        self, request: web.Request, number: int, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        kind = fault.kind if fault else None
        headers = {"Date": self._clock.http_date(), **answer.headers}
        if kind == "html503":
            return web.Response(status=503, text=_HTML, content_type="text/html", headers=headers)
        if kind == "unavailable200":
            return web.Response(text="Service Unavailable", headers=headers)
        headers["Content-Type"] = _JSON
        headers["Cache-Control"] = "private, no-cache, no-store, must-revalidate"
        headers["x-fb-trace-id"] = ids.letters(f"trace/{number}", 11)
        headers["x-fb-request-id"] = ids.letters(f"request/{number}", 22)
        response = web.Response(status=answer.http, body=answer.body, headers=headers)
        if kind == "reset":
            return await _break_off(request, response)
        return response


async def _read(request: web.Request) -> tuple[Call, Any]:
    """Return the call a request makes, and its `batch` parameter (None: it is no batch)."""
    parameters: dict[str, Any] = dict(request.query)
    parameters |= await _body(request)
    items = parameters.pop("batch", None) if request.method == "POST" else None
    path, version = batch.split_version(request.path)
    base = f"{request.scheme}://{request.host}" + (f"/{version}" if version else "")
    bearer = request.headers.get("Authorization", "")
    token = bearer[7:].strip() if bearer[:7].lower() == "bearer " else None
    call = Call(
        method=str(parameters.pop("method", request.method)).upper(),
        path=path,
        base=base,
        version=version,
        token=_text(parameters.pop("access_token", None)) or token,
        proof=_text(parameters.pop("appsecret_proof", None)),
        parameters={name: _text(value) or "" for name, value in parameters.items()},
    )
    return call, items


async def _body(request: web.Request) -> Mapping[str, Any]:
    """Read a form, urlencoded or multipart, or a JSON object."""
    if request.method == "GET" or not request.can_read_body:
        return {}
    if request.content_type == "application/json":
        try:
            return msgspec.json.decode(await request.read(), type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise web.HTTPBadRequest(text=f"The body is no JSON object: {error}") from None
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _text(value: Any) -> str | None:
    """Return a parameter as text: JSON bodies hold lists and booleans too."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


async def _break_off(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Send half a reply and close the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    broken = web.StreamResponse(status=whole.status, headers=whole.headers)
    broken.content_length = len(body)
    await broken.prepare(request)
    await broken.write(body[: len(body) // 2])
    if request.transport:
        request.transport.abort()
    return broken
