"""Things that go wrong on request: for one Page, one kind of call, so many times, or by chance."""

import asyncio
import contextlib
import re
from collections import defaultdict
from random import Random
from typing import Annotated, Literal

from msgspec import Meta, Struct

from deploy.simulator.errors import FAILURES

Kind = Literal["error", "slow", "reset", "html503", "unavailable200", "null", "short", "headers"]
TRANSPORT: frozenset[Kind] = frozenset({"slow", "reset", "html503", "unavailable200"})
"""What happens to a whole HTTP request."""
CALL: frozenset[Kind] = frozenset({"error", "short", "headers"})
"""What happens to a single call, in a batch or not."""


class Fault(Struct, kw_only=True, forbid_unknown_fields=True, eq=False):
    """One thing to go wrong.

    `path` is a regular expression searched in the path without version, such as
    `/conversations$`; a batch as a whole has the path `/`. `page` is a Page's id. `count` is how
    often it strikes, without end when None. `skip` lets so many calls through first.

    Kinds: `error` (named as in `errors.FAILURES`), `slow` (waits `seconds`, or until it is
    removed), `reset` (closes the connection after half the reply), `html503`, `unavailable200`
    (that text with status 200), `null` (a batch item is left out), `short` (a slice has half the
    rows and goes on), `headers` (adds `headers` to the reply).
    """

    kind: Kind
    error: str | None = None
    page: str | None = None
    path: str | None = None
    count: Annotated[int, Meta(ge=1)] | None = None
    skip: Annotated[int, Meta(ge=0)] = 0
    probability: Annotated[float, Meta(ge=0, le=1)] = 1
    seconds: Annotated[float, Meta(ge=0)] = 30
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if (self.kind == "error") != (self.error is not None):
            raise ValueError("`error` names the error of a fault of kind error, and only there")
        if self.error is not None and self.error not in FAILURES:
            raise ValueError(f"no error {self.error!r}; there are {', '.join(FAILURES)}")
        if self.path is not None:
            try:
                re.compile(self.path)
            except re.error as error:
                raise ValueError(f"`path` is no regular expression: {error}") from None

    def concerns(self, page: str | None, path: str) -> bool:
        """Say whether a call is one of those this is meant for."""
        return (self.page is None or self.page == page) and (
            self.path is None or re.search(self.path, path) is not None
        )


class Faults:
    """The faults that are switched on."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"{seed}/faults")
        self._begun: defaultdict[Fault, asyncio.Event] = defaultdict(asyncio.Event)
        self._lifted: defaultdict[Fault, asyncio.Event] = defaultdict(asyncio.Event)
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on; return it, so that it can be removed."""
        self.active.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Switch one fault off; a request that it holds up goes on."""
        self._lifted[fault].set()
        self._retire(fault)

    def clear(self) -> None:
        """Switch all faults off."""
        for fault in [*self.active, *self._begun]:
            self.remove(fault)

    async def hold_up(self, fault: Fault) -> None:
        """Let a request wait for as long as a slow fault says, or until it is removed."""
        self._begun[fault].set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await self._lifted[fault].wait()

    async def holding(self, fault: Fault) -> None:
        """Wait until a slow fault holds up a request."""
        async with asyncio.timeout(30):
            await self._begun[fault].wait()

    def strike(self, page: str | None, path: str, *, batched: bool) -> Fault | None:
        """Return what goes wrong with this call, if anything, and count it."""
        return self._strike(page, path, CALL | {"null"} if batched else CALL)

    def strike_request(self, page: str | None, path: str) -> Fault | None:
        """Return what goes wrong with this HTTP request as a whole, if anything, and count it."""
        return self._strike(page, path, TRANSPORT)

    def _strike(self, page: str | None, path: str, kinds: frozenset[Kind]) -> Fault | None:
        for fault in self.active:
            if fault.kind in kinds and fault.concerns(page, path):
                if fault.skip:
                    fault.skip -= 1
                elif self._rng.random() < fault.probability:
                    self._use(fault)
                    return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.count is not None:
            fault.count -= 1
            if not fault.count:
                self._retire(fault)

    def _retire(self, fault: Fault) -> None:
        if fault in self.active:
            self.active.remove(fault)
