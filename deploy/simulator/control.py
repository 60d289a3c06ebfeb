"""Controls under `/_simulator/`: look at the truth and the records, change how things behave.

All of it is JSON. A request that makes no sense is answered 400 with an `error` that says why.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct, structs

from deploy.simulator import oddities, report, wire
from deploy.simulator.acts import Act
from deploy.simulator.config import Modes
from deploy.simulator.faults import Fault
from deploy.simulator.truth import FOLDERS, Page, Platform

if TYPE_CHECKING:
    from deploy.simulator.simulator import Simulator

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")


class Happen(Struct, kw_only=True, forbid_unknown_fields=True):
    """Asks for something to happen; see `Simulator.happen`."""

    page: str
    act: Act = "message"
    conversations: int | list[str] = 1
    platform: Platform = "messenger"
    count: int = 1
    text: str | None = None
    webhook: bool = True
    together: bool = False


class Move(Struct, kw_only=True, forbid_unknown_fields=True):
    """Asks for a conversation to be put into another folder."""

    page: str
    conversation: str
    folder: str


class TokenChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Asks for a Page's tokens to die with a subcode of 190 (0: none), or for a new one."""

    dead: Literal[0, 458, 459, 460, 463, 464, 467, 490, 492] | None = None
    renew: bool = False


class Post(Struct, kw_only=True, forbid_unknown_fields=True):
    """Asks for a body to be posted as a webhook, signed as `signature` says.

    The body is one of: `text` as it is, `body` the way Facebook writes JSON, or `odd`, the name of
    one of `oddities.py` (for the first Page). `reserialised` posts the same JSON written otherwise
    than it was signed. `pad` fills the body up to so many bytes.
    """

    body: Any = None
    text: str | None = None
    odd: str | None = None
    signature: wire.Signature = "right"
    pad: int = 0


class Control:
    """The endpoints that control one simulator."""

    def __init__(self, simulator: "Simulator") -> None:
        self._sim = simulator

    def application(self) -> web.Application:
        """Return the endpoints as an application to mount."""
        app = web.Application(middlewares=[_explain], client_max_size=2**27)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/setup", self._setup),
                web.get("/truth", self._truth),
                web.get("/truth/{page}", self._page_truth),
                web.get("/calls", self._calls),
                web.delete("/calls", self._forget_calls),
                web.get("/faults", self._faults),
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._clear_faults),
                web.get("/modes", self._modes),
                web.patch("/modes", self._change_modes),
                web.post("/happen", self._happen),
                web.post("/move", self._move),
                web.post("/pages/{page}/token", self._token),
                web.delete("/pages/{page}/subscription", self._unsubscribe),
                web.post("/cursors/expire", self._expire_cursors),
                web.get("/webhooks", self._webhooks),
                web.delete("/webhooks", self._forget_webhooks),
                web.get("/webhooks/sent", self._sent),
                web.post("/webhooks/post", self._post),
                web.post("/webhooks/handshake", self._handshake),
            ]
        )
        return app

    async def _index(self, request: web.Request) -> web.Response:
        """List the endpoints and what each does."""
        told = {
            f"{route.method} {route.resource.canonical}": route.handler.__doc__
            for route in request.app.router.routes()
            if route.method != "HEAD" and route.resource
        }
        return _json(told)

    async def _setup(self, _: web.Request) -> web.Response:
        """Tell what one needs to connect: the app, the user's token, every Page with its token."""
        sim = self._sim
        return _json(
            {
                "url": sim.url,
                "appId": sim.config.app_id,
                "appSecret": sim.config.app_secret,
                "verifyToken": sim.config.verify_token,
                "userToken": sim.tokens.user,
                "pages": [self._describe(page) for page in sim.truth.pages.values()],
            }
        )

    def _describe(self, page: Page) -> report.Json:
        return report.page(page, self._sim.tokens.of_page[page.id])

    async def _truth(self, _: web.Request) -> web.Response:
        """List every Page's conversations, without their messages."""
        return _json(
            {
                page.id: [report.conversation(c, messages=False) for c in page.conversations()]
                for page in self._sim.truth.pages.values()
            }
        )

    async def _page_truth(self, request: web.Request) -> web.Response:
        """Tell all of one Page, messages too; `?conversation=` for one thread."""
        page = self._sim.truth.page(request.match_info["page"])
        wanted = request.query.get("conversation")
        found = [c for c in page.conversations() if wanted in {None, c.thread}]
        return _json(
            {
                **self._describe(page),
                "conversations": [report.conversation(c, messages=True) for c in found],
                "unsentMids": [
                    u.mid for u in self._sim.webhooks.unsent if u.page is page and u.mid
                ],
            }
        )

    async def _calls(self, request: web.Request) -> web.Response:
        """List Graph calls: `?path=` (regular expression), `?page=`, `?code=`, `?limit=`."""
        query = request.query
        code = int(query["code"]) if "code" in query else None
        found = self._sim.calls.list(query.get("path"), query.get("page"), code)
        requests = len({record.request for record in found})
        newest = _newest(found, request)
        return _json({"count": len(found), "requests": requests, "calls": newest})

    async def _forget_calls(self, _: web.Request) -> web.Response:
        """Forget the recorded calls."""
        self._sim.calls.clear()
        return _done()

    async def _faults(self, _: web.Request) -> web.Response:
        """List the faults that are switched on."""
        return _json(self._sim.faults.active)

    async def _add_fault(self, request: web.Request) -> web.Response:
        """Switch a fault on: `kind` and, as it needs, the other fields of a fault."""
        return _json(self._sim.faults.add(await _read(request, Fault)))

    async def _clear_faults(self, _: web.Request) -> web.Response:
        """Switch all faults off."""
        self._sim.faults.clear()
        return _done()

    async def _modes(self, _: web.Request) -> web.Response:
        """Tell how things behave now."""
        return _json(self._sim.modes)

    async def _change_modes(self, request: web.Request) -> web.Response:
        """Change some modes, the rate of live traffic among them; the others stay."""
        modes = self._sim.modes
        wanted = await _read(request, dict[str, Any])
        changed = msgspec.convert(structs.asdict(modes) | wanted, Modes)
        for name in Modes.__struct_fields__:
            setattr(modes, name, getattr(changed, name))
        return _json(modes)

    async def _happen(self, request: web.Request) -> web.Response:
        """Make something happen in some conversations, told by webhook or not."""
        wanted = await _read(request, Happen)
        updates = self._sim.happen(**structs.asdict(wanted))
        return _json({"count": len(updates), "mids": [u.mid for u in updates if u.mid]})

    async def _move(self, request: web.Request) -> web.Response:
        """Move a conversation into another folder; no webhook tells of it."""
        wanted = await _read(request, Move)
        if wanted.folder not in FOLDERS:
            raise LookupError(f"no folder {wanted.folder}; there are {', '.join(FOLDERS)}")
        truth = self._sim.truth
        truth.move(truth.conversation(wanted.page, wanted.conversation), wanted.folder)
        return _done()

    async def _token(self, request: web.Request) -> web.Response:
        """Let a Page's tokens die (`dead`: the subcode), or give it a new one (`renew`)."""
        page, wanted = (
            self._sim.truth.page(request.match_info["page"]),
            await _read(request, TokenChange),
        )
        if wanted.dead is not None:
            self._sim.tokens.kill(page, wanted.dead)
        if wanted.renew:
            self._sim.tokens.issue(page, self._sim.clock.now_ms())
        return _json(self._describe(page))

    async def _unsubscribe(self, request: web.Request) -> web.Response:
        """Unsubscribe the app from a Page, as Facebook does after an hour of failures."""
        self._sim.truth.page(request.match_info["page"]).subscribed_fields = frozenset()
        return _done()

    async def _expire_cursors(self, _: web.Request) -> web.Response:
        """Refuse every cursor given out so far."""
        self._sim.expire_cursors()
        return _done()

    async def _webhooks(self, request: web.Request) -> web.Response:
        """Tell how deliveries were answered, the newest attempts (`?limit=`), and alerts."""
        webhooks = self._sim.webhooks
        return _json(
            {
                "summary": report.acknowledgements(webhooks.ledger),
                "pending": webhooks.pending,
                "unsent": len(webhooks.unsent),
                "alerts": webhooks.alerts,
                "attempts": _newest(webhooks.ledger, request),
            }
        )

    async def _forget_webhooks(self, _: web.Request) -> web.Response:
        """Forget attempts, alerts and what was not sent."""
        self._sim.webhooks.forget()
        return _done()

    async def _sent(self, _: web.Request) -> web.Response:
        """Tell when each message was first posted: seconds since the epoch by mid."""
        return _json(report.first_sent(self._sim.webhooks.ledger))

    async def _post(self, request: web.Request) -> web.Response:
        """Post a body of your own as a webhook, signed rightly or in one of the wrong ways."""
        wanted, webhooks = await _read(request, Post), self._sim.webhooks
        body = self._body(wanted).ljust(wanted.pad)
        posted, headers = wire.signed(body, webhooks.secret, wanted.signature)
        status, error = await webhooks.post(self._callback(), posted, headers)
        return _json({"status": status, "error": error, "bytes": len(posted)})

    async def _handshake(self, _: web.Request) -> web.Response:
        """Ask the webhook URL for its consent, as Facebook does before it sends anything."""
        callback = self._callback()
        problem = await self._sim.webhooks.handshake(callback, self._sim.config.verify_token)
        return _json({"agreed": problem is None, "problem": problem})

    def _callback(self) -> str:
        callback = self._sim.webhooks.subscriptions.callbacks.get("page")
        if callback is None:
            raise LookupError("no webhook URL: start with --webhook-url, or subscribe the app")
        return callback.url

    def _body(self, wanted: Post) -> bytes:
        if wanted.text is not None:
            return wanted.text.encode()
        if wanted.odd is None:
            return wire.encode(wanted.body)
        page = next(iter(self._sim.truth.pages.values()))
        bodies = oddities.all_of(page, self._sim.clock.now_ms())
        if wanted.odd not in bodies:
            raise LookupError(f"no odd body {wanted.odd}; there are {', '.join(bodies)}")
        return wire.encode(bodies[wanted.odd])


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 400 with the reason where a request makes no sense."""
    try:
        return await handler(request)
    except (LookupError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=400)


async def _read(request: web.Request, type_: type[T]) -> T:
    """Read a JSON body; ValueError says what is wrong with it."""
    return msgspec.json.decode(await request.read() or b"{}", type=type_)


def _newest(records: Iterable[T], request: web.Request) -> list[T]:
    """Return the last of some records: a hundred, or `?limit=`."""
    limit = request.query.get("limit", "100")
    if not limit.isdigit():
        raise ValueError("`limit` must be a number")
    return list(records)[-int(limit) :] if int(limit) else []


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _done() -> web.Response:
    return _json({"done": True})
