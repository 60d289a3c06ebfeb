"""Facebook as a sender: what happens on its Pages, how it delivers it, and what it was answered."""

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import aiohttp

from tests.stack import SECRET, sign

Outcome: TypeAlias = Literal["ok", "fail", "unknown"]

GIVES_UP_ON_AN_ANSWER = 5.0
"""Seconds; https://developers.facebook.com/docs/messenger-platform/webhooks"""

PEOPLE = 40
REMEMBERED = 30  # messages of a conversation that later events may be about


class Item(NamedTuple):
    """One item of a webhook as it will be told: of which Page, and its JSON."""

    page: str
    told: dict[str, Any]


class Life:
    """What happens on some Pages, the same for a seed; no two items are the same."""

    def __init__(self, seed: int, pages: list[str]) -> None:
        self._dice = random.Random(seed)
        self._pages = pages
        self._seed = seed
        self._at = int(time.time() * 1000) - 3_600_000
        self._said: dict[tuple[str, str], deque[tuple[str, bool]]] = {}
        self._spoken = 0

    def items(self, count: int) -> list[Item]:
        """Return what happens next."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Item:
        dice = self._dice
        self._at += dice.randrange(1, 4)
        page = dice.choice(self._pages)
        # Some people write much more than others.
        person = f"7{int(PEOPLE * dice.random() ** 2):03}{page[-4:]}"
        said = self._said.setdefault((page, person), deque(maxlen=REMEMBERED))
        kind = dice.choices(
            ("message", "echo", "read", "delivery", "reaction", "edit", "unsend", "postback",
             "optin"),
            (44, 14, 9, 9, 8, 6, 4, 3, 3),
        )[0]  # fmt: skip
        if not said and kind in {"reaction", "edit", "unsend", "delivery"}:
            kind = "message"
        return Item(page, getattr(self, f"_{kind}")(page, person, said))

    def _parties(self, page: str, person: str, *, out: bool) -> dict[str, Any]:
        sender, recipient = (page, person) if out else (person, page)
        return {
            "sender": {"id": sender},
            "recipient": {"id": recipient},
            "timestamp": self._at,
        }

    def _new_mid(self) -> str:
        self._spoken += 1
        return f"m_{self._seed}.{self._spoken:07}"

    def _words(self) -> str:
        return self._dice.choice(("hello", "Is it in stock?", "שלום", "👍🏽", "ÄÖ", "")) + str(
            self._dice.randrange(1000)
        )

    def _message(self, page: str, person: str, said: deque, *, out: bool = False) -> dict:
        mid = self._new_mid()
        said.append((mid, out))
        message: dict[str, Any] = {"mid": mid, "text": self._words()}
        if out:
            message |= {"is_echo": True, "app_id": 1517776481860111}
        return self._parties(page, person, out=out) | {"message": message}

    def _echo(self, page: str, person: str, said: deque) -> dict:
        return self._message(page, person, said, out=True)

    def _postback(self, page: str, person: str, said: deque) -> dict:
        postback = {"mid": self._new_mid(), "title": self._words(), "payload": "START"}
        return self._parties(page, person, out=False) | {"postback": postback}

    def _read(self, page: str, person: str, said: deque) -> dict:
        watermark = self._at - self._dice.randrange(5000)
        return self._parties(page, person, out=False) | {"read": {"watermark": watermark}}

    def _delivery(self, page: str, person: str, said: deque) -> dict:
        mids = [mid for mid, out in list(said)[-3:] if out]
        delivery = {"watermark": self._at - self._dice.randrange(5000), "mids": mids}
        return self._parties(page, person, out=False) | {"delivery": delivery}

    def _reaction(self, page: str, person: str, said: deque) -> dict:
        mid, _ = self._dice.choice(said)
        reaction: dict[str, Any] = {"mid": mid, "action": "unreact"}
        if self._dice.random() < 0.7:
            reaction |= {"action": "react", "reaction": "love", "emoji": "❤"}
        by_page = self._dice.random() < 0.3
        return self._parties(page, person, out=by_page) | {"reaction": reaction}

    def _edit(self, page: str, person: str, said: deque) -> dict:
        mid, out = self._dice.choice(said)
        edit = {"mid": mid, "text": self._words(), "num_edit": self._dice.randrange(1, 6)}
        return self._parties(page, person, out=out) | {"message_edit": edit}

    def _unsend(self, page: str, person: str, said: deque) -> dict:
        mid, out = self._dice.choice(said)
        message: dict[str, Any] = {"mid": mid, "is_deleted": True}
        if out:
            message["is_echo"] = True
        return self._parties(page, person, out=out) | {"message": message}

    def _optin(self, page: str, person: str, said: deque) -> dict:
        optin = {"ref": self._words(), "type": "one_time_notif_req"}
        return self._parties(page, person, out=False) | {"optin": optin}


def body(items: list[Item]) -> bytes:
    """Return the webhook that tells of items, one entry a Page as Facebook groups them."""
    entries: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        entries.setdefault(item.page, []).append(item.told)
    told = [
        {"id": page, "time": messaging[-1]["timestamp"], "messaging": messaging}
        for page, messaging in entries.items()
    ]
    return json.dumps({"object": "page", "entry": told}, separators=(",", ":")).encode()


class Attempt(NamedTuple):
    """One delivery of a body: when (monotonic seconds), how it ended, and after how long."""

    began: float
    seconds: float
    outcome: Outcome
    status: int | str


class Acked(NamedTuple):
    """A body that was answered with 200, and when (seconds since the epoch)."""

    items: list[Item]
    sent: bytes
    at: float


class Ledger:
    """Every attempt, and every body that was answered with 200."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.acked: list[Acked] = []

    @property
    def items(self) -> int:
        return sum(len(body.items) for body in self.acked)

    def note(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def acknowledged(self, items: list[Item], sent: bytes) -> None:
        self.acked.append(Acked(items, sent, time.time()))

    def not_ok(self, since: float, until: float) -> Counter[int | str]:
        """Return what attempts that began in a time were answered instead of 200."""
        return Counter(
            attempt.status
            for attempt in self.attempts
            if since <= attempt.began <= until and attempt.outcome != "ok"
        )

    def ack_seconds(self) -> list[float]:
        return sorted(a.seconds for a in self.attempts if a.outcome == "ok")


class Facebook:
    """Delivers a life over some connections at a pace, and again whatever got no 200.

    Two in a hundred bodies are delivered twice; items are shuffled over some seconds.
    """

    def __init__(
        self,
        life: Life,
        url: str,
        ledger: Ledger,
        seed: int,
        secret: Callable[[], str] = lambda: SECRET,
    ) -> None:
        self._life, self._url, self._ledger = life, url, ledger
        self._secret = secret
        self._dice = random.Random(seed)
        self._late: list[Item] = []
        self.done = False

    async def deliver(self, lanes: int, bodies_a_second: float) -> None:
        """Deliver until `done`, then what is still to be delivered again."""
        timeout = aiohttp.ClientTimeout(total=GIVES_UP_ON_AN_ANSWER)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(lanes):
                tasks.create_task(self._lane(session, lanes / bodies_a_second))

    async def _lane(self, session: aiohttp.ClientSession, pause: float) -> None:
        while not self.done:
            items = self._some()
            sent = body(items)
            await self._until_acked(session, items, sent)
            if self._dice.random() < 0.02:
                await self.attempt(session, sent)
            await asyncio.sleep(pause * self._dice.uniform(0.5, 1.5))
        if self._late:
            items, self._late = self._late, []
            await self._until_acked(session, items, body(items))

    def _some(self) -> list[Item]:
        """Return some items, a part of them held back for a later body: order is not promised."""
        dice = self._dice
        fresh = self._life.items(dice.choice((1, 2, 8, 20, 60, 120)))
        pool = fresh + self._late
        dice.shuffle(pool)
        self._late = pool[: len(pool) // 5][:200]
        return pool[len(self._late) :]

    async def _until_acked(
        self, session: aiohttp.ClientSession, items: list[Item], sent: bytes
    ) -> None:
        wait = 0.05
        while await self.attempt(session, sent) != 200:
            await asyncio.sleep(wait * self._dice.uniform(0.5, 1.5))
            wait = min(wait * 2, 1.0)
        self._ledger.acknowledged(items, sent)

    async def attempt(self, session: aiohttp.ClientSession, sent: bytes) -> int | str:
        """Post a body once; return the status, or how there was none."""
        headers = {
            "X-Hub-Signature-256": sign(sent, self._secret()),
            "Content-Type": "application/json",
        }
        began = time.monotonic()
        status: int | str
        try:
            async with session.post(
                self._url + "/api/webhook", data=sent, headers=headers
            ) as answer:
                await answer.read()
                status = answer.status
        except aiohttp.ClientConnectorError:
            status = "refused"
        except (aiohttp.ClientError, TimeoutError) as error:
            status = type(error).__name__
        outcome: Outcome = "ok" if status == 200 else "fail"
        if isinstance(status, str) and status != "refused":
            outcome = "unknown"
        self._ledger.note(Attempt(began, time.monotonic() - began, outcome, status))
        return status
