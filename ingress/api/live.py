"""The live feed over HTTP."""

from aiohttp import web

from ingress.api.callers import Caller
from ingress.api.directory import Directory
from ingress.api.hub import Client, Hub, live_frame
from ingress.api.routes import EVENT_STREAM, Id, endpoint
from ingress.api.shapes import Asked, LiveChange
from ingress.api.streams import Streams


class LiveQuery(Asked):
    """`pageId` is our id of a Page or either of Facebook's; all Pages without it."""

    page_id: Id | None = None


class Live:
    """Live."""

    def __init__(self, directory: Directory, hub: Hub, streams: Streams) -> None:
        self._directory = directory
        self._hub = hub
        self._streams = streams

    @endpoint("GET", "/live", scope="read", answers={200: LiveChange}, content_type=EVENT_STREAM)
    async def live(
        self, caller: Caller, query: LiveQuery, request: web.Request
    ) -> web.StreamResponse:
        """Follow what changes, as server-sent events `change`.

        Reconnect with the id of the last frame as `Last-Event-ID`: you may get some changes twice,
        and miss none. An event `reset` says that too much was missed: read everything anew.
        """
        pages = caller.page_ids
        if query.page_id is not None:
            pages = (await self._directory.find(query.page_id, caller.pages)).entry_ids
        client = Client(None if pages is None else frozenset(pages), live_frame)
        # First in line, then what was missed: nothing can fall between the two.
        self._hub.join(client)
        try:
            last = request.headers.get("Last-Event-ID")
            client.offer(await self._hub.missed(pages, live_frame, last))
            return await self._streams.serve(request, client)
        finally:
            self._hub.leave(client)
