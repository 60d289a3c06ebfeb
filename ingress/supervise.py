"""Several ingress processes on one port: starts them, restarts those that die, stops them all."""

import asyncio
import sys
import tempfile
from collections.abc import Iterable, Mapping

from prometheus_client.multiprocess import mark_process_dead

from shared import log

_log = log.get(__name__)

MEMBER = "PAGEWIRE_INGRESS_MEMBER"
"""In the environment of such a process: its number, from 0."""

_YOUNG = 2.0  # seconds; a process that ends earlier on its first start never worked
_PAUSE = 1.0
_STOP_SECONDS = 10.0


async def supervise(
    count: int, arguments: Iterable[str], environ: Mapping[str, str], stop: asyncio.Event
) -> int:
    """Run `count` times `python -m ingress` until `stop`; return an exit status.

    Their standard input is a pipe of ours: it ends with us, however we end, and they with it.
    """
    with tempfile.TemporaryDirectory(prefix="pagewire-metrics-") as numbers:
        members = [
            _Member([*arguments], {**environ, MEMBER: str(n), "PROMETHEUS_MULTIPROC_DIR": numbers})
            for n in range(count)
        ]
        stopping = asyncio.ensure_future(stop.wait())
        running = [asyncio.ensure_future(member.keep_running()) for member in members]
        # One that never worked ends them all: its message says why.
        await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
        failed = not stopping.done()
        stopping.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(member.stop() for member in members))
    return 1 if failed else 0


class _Member:
    def __init__(self, arguments: list[str], environ: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    async def keep_running(self) -> None:
        """Start the process again whenever it ends; return if it never worked."""
        loop = asyncio.get_running_loop()
        worked = False
        while True:
            started = loop.time()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "ingress", *self._arguments),
                env=self._environ,
                stdin=asyncio.subprocess.PIPE,
            )
            status = await self._process.wait()
            mark_process_dead(  # type: ignore[no-untyped-call]
                self._process.pid, self._environ["PROMETHEUS_MULTIPROC_DIR"]
            )
            worked = worked or loop.time() - started > _YOUNG
            if not worked:
                return
            _log.error("ingress_process_ended", pid=self._process.pid, status=status)
            await asyncio.sleep(_PAUSE)

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
