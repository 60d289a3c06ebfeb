"""Pagewire's own processes and its command line, all with one environment."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.local import ports
from deploy.local.errors import CannotStart
from deploy.local.process import Program
from shared.config import Settings


class Product:
    """Builds programs from the Python modules of a checkout; each logs to a file of its own."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        logs.mkdir(exist_ok=True)
        self._environment = environment
        self._logs = logs

    def program(
        self, name: str, *module: str, grace: float, answers: Callable[[], bool] = lambda: True
    ) -> Program:
        """Return `python -m module` as a program; the log of its last run is put aside."""
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

    def ingest(self) -> Program:
        """Return the worker that turns acknowledged webhooks into rows."""
        return self._worker("ingest")

    def jobs(self) -> Program:
        """Return the worker that syncs: apart, so that decoding never holds up live events."""
        return self._worker("jobs")

    def _worker(self, only: str) -> Program:
        program = self.program(f"worker-{only}", "worker", f"--only={only}", grace=1.5)
        # On one machine the port is the ingress's.
        kept = {k: v for k, v in program.environment.items() if k != "METRICS_PORT"}
        return replace(program, environment=kept)

    def ingress(self, settings: Settings) -> Program:
        """Return the doors."""
        return self.program(
            "ingress",
            "ingress",
            grace=2.0,
            answers=lambda: ports.accepts(settings.ingress_host, settings.ingress_port),
        )

    async def command(self, *arguments: str, **variables: str) -> Any:
        """Run `pagewire arguments --json` and return what it printed.

        `variables` is for what must not be an argument, which everybody here could read.
        Raises CannotStart with what it said if it fails.
        """
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "ingress.cli", *arguments, "--json"],
            env={**self._environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotStart(f"`pagewire {' '.join(arguments)}` failed:\n{done.stderr.strip()}")
        return json.loads(done.stdout)
