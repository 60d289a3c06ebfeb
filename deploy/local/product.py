"""Pagewire's own processes and its command line, all with one environment."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy.local import ports
from deploy.local.errors import CannotStart
from deploy.local.process import Program


class Product:
    """Builds programs from the Python modules of a checkout; each logs to a file of its own."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        logs.mkdir(exist_ok=True)
        self._environment = environment
        self._logs = logs

    def worker(self, part: str) -> Program:
        """Return one of the two kinds of worker, `ingest` or `jobs`."""
        return self._program(f"worker-{part}", "worker", "--only", part, grace=1.5)

    def ingress(self, host: str, port: int) -> Program:
        """Return the ingress, which the settings make listen on `port` of `host`."""
        return self._program(
            "ingress", "ingress", grace=2.0, answers=lambda: ports.accepts(host, port)
        )

    def simulator(self, port: int, *arguments: str) -> Program:
        """Return the simulated Facebook, its Graph API on `port` of this machine."""
        return self._program(
            "simulator",
            "deploy.simulator",
            f"--port={port}",
            *arguments,
            grace=0.5,
            answers=lambda: ports.accepts("127.0.0.1", port),
        )

    async def command(self, *arguments: str, token: str = "") -> Any:
        """Run `pagewire … --json` and return what it printed.

        `token` is given as PAGE_ACCESS_TOKEN, since arguments can be read by everybody here.
        Raises CannotStart with what it said if it fails.
        """
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "ingress.cli", *arguments, "--json"],
            env={**self._environment, "PAGE_ACCESS_TOKEN": token},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotStart(f"`pagewire {' '.join(arguments)}` failed:\n{done.stderr.strip()}")
        return json.loads(done.stdout)

    def _program(
        self, name: str, *module: str, grace: float, answers: Callable[[], bool] = lambda: True
    ) -> Program:
        log = self._logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return Program(
            name=name,
            command=[sys.executable, "-m", *module],
            environment=self._environment,
            folder=Path.cwd(),
            log=log,
            answers=lambda _: answers(),
            grace=grace,
        )
