"""The thin part that touches the network: one question, one answer, nothing decided here."""

import asyncio
import hashlib
import hmac
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from shared import log, tracing
from shared.config import Secret
from shared.errors import PagewireError, Unavailable
from shared.facebook.graph import batch
from shared.facebook.graph.replies import Reply, reply_of
from shared.facebook.graph.requests import Request

ANSWER_BYTES = 64 << 20
"""The largest answer taken, as it came and unpacked: the largest seen are a few megabytes."""

# Reading messages takes 30 to 90 s on some Pages.
_TIMEOUT = aiohttp.ClientTimeout(total=120, connect=5, sock_connect=5)
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS

_log = log.get(__name__)


class GraphUnavailable(Unavailable):
    """The Graph API does not answer; the same question may be answered later."""


class AnswerTooLarge(PagewireError):
    """The Graph API's answer is larger than anything it should send; ask for less."""


def proof(token: str, app_secret: str) -> str:
    """Return the `appsecret_proof` of a token.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


class Client:
    """Asks the Graph API; built by `connected`. Tokens go in a header, never into a URL."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        version: str,
        app_id: str,
        app_secret: Secret,
    ) -> None:
        self._session = session
        self._base = f"{url.rstrip('/')}/{version}"
        self._version = version
        self._secret = app_secret
        self.app_id = app_id
        self.app_token = Secret(f"{app_id}|{app_secret.reveal()}")

    async def send(self, request: Request, token: Secret) -> Reply:
        """Ask one question and return whatever Facebook answers, errors too.

        Raises GraphUnavailable, AnswerTooLarge, or Unreadable for an answer without a date.
        """
        asked = request.with_parameters(("appsecret_proof", self._proof(token)))
        with tracing.span("graph", "client"):
            return await self._send(asked, token)

    async def send_batch(
        self, questions: Sequence[tuple[Request, Secret]]
    ) -> tuple[Reply, list[Reply | None]]:
        """Ask up to 50 questions in one request; return the whole answer and each one's.

        The list is empty when the batch as a whole was refused: judge the whole answer first. The
        app's own token stands for the batch, so that no Page's trouble is everybody's.
        Raises as `send` does.
        """
        packed = batch.pack(
            [
                request.with_parameters(
                    ("access_token", token.reveal()), ("appsecret_proof", self._proof(token))
                )
                for request, token in questions
            ]
        )
        outer = await self.send(packed, self.app_token)
        answered = outer.body.lstrip()[:1] == b"["
        return outer, batch.unpack(outer, len(questions)) if answered else []

    def _proof(self, token: Secret) -> str:
        return proof(token.reveal(), self._secret.reveal())

    async def _send(self, request: Request, token: Secret) -> Reply:
        form = urlencode(request.parameters)
        url = f"{self._base}/{request.path}" + (f"?{form}" if request.method == "GET" else "")
        try:
            # aiohttp's own total has been seen not to fire (aiohttp #9547).
            async with (
                asyncio.timeout(125),
                self._session.request(
                    request.method,
                    URL(url, encoded=True),
                    data=form if request.method == "POST" else None,
                    headers={
                        "Authorization": f"Bearer {token.reveal()}",
                        "Content-Type": "application/x-www-form-urlencoded",
                    },
                    # A redirect could lead the token to another host.
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, zlib.error) as error:
            # The error's own text may hold the URL; its kind says enough.
            raise GraphUnavailable(f"The Graph API does not answer: {type(error).__name__}") from (
                None
            )
        headers = {name.lower(): value for name, value in response.headers.items()}
        self._watch_version(headers.get("facebook-api-version"))
        return reply_of(response.status, headers, body)

    def _watch_version(self, answered: str | None) -> None:
        """Say once that Facebook answers as another version than the one asked: ours has died."""
        if answered and answered != self._version:
            _log.warning("graph_version_differs", asked=self._version, answered=answered)
            self._version = answered


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read and unpack a body piece by piece, so that a bomb is never whole in memory."""
    packed = response.headers.get("Content-Encoding", "identity").lower() in {"gzip", "deflate"}
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if packed else None
    body = bytearray()
    async for piece in response.content.iter_any():
        room = ANSWER_BYTES - len(body)
        body += inflate.decompress(piece, room + 1) if inflate else piece
        if len(body) > ANSWER_BYTES:
            raise AnswerTooLarge
    return bytes(body)


@asynccontextmanager
async def connected(
    *, url: str, version: str, app_id: str, app_secret: Secret
) -> AsyncIterator[Client]:
    """Open the one session a process needs and close it at the end."""
    connector = aiohttp.TCPConnector(limit=100, ttl_dns_cache=30)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=_TIMEOUT,
        auto_decompress=False,
        headers={"Accept-Encoding": "gzip, deflate", "User-Agent": "pagewire"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield Client(session, url=url, version=version, app_id=app_id, app_secret=app_secret)
