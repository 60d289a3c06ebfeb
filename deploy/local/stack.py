"""Everything `make run` starts, in the order it is started."""

import contextlib
import http
import os
from collections.abc import Callable
from pathlib import Path

from dotenv import dotenv_values

from deploy.local import keys, ports, servers
from deploy.local.keys import Keys
from deploy.local.product import Product
from deploy.local.servers import Server
from deploy.local.simulation import Simulation
from deploy.local.supervisor import Supervisor
from deploy.local.welcome import welcome
from shared import config
from shared.config import Settings
from shared.store.migrate import migrate

DOTENV = Path(".env")
NEEDED = ("database_url", "redis_url", "webhook_verify_token", "token_encryption_keys")


class Stack:
    """All of Pagewire with its data in `home`, each process kept up by `supervisor`.

    What the user has set (environment, `.env`) stands; what is missing is provided. Locks on
    the data are put into `held`; `say` tells the user what is going on.
    """

    def __init__(
        self,
        home: Path,
        held: contextlib.ExitStack,
        supervisor: Supervisor,
        say: Callable[[str], None],
    ) -> None:
        self._home = home
        self._held = held
        self._supervisor = supervisor
        self._say = say
        self._secrets = Keys(home / "keys")
        self._given = config.load(os.environ, wants=(), dotenv=DOTENV)
        self._environment = {k: v for k, v in dotenv_values(DOTENV).items() if v} | dict(os.environ)
        self._postgres: Server | None = None
        self._simulation: Simulation | None = None

    async def start(self) -> str:
        """Start it; return what the user should know. Raises CannotStart and PagewireError."""
        self._choose_ports()
        await self._start_servers()
        self._provide_what_is_not_set()
        settings = config.load(self._environment, wants=NEEDED)
        self._leave_settings_for_the_command_line()

        await migrate(settings.database_url.reveal())
        self._say("Starting the workers and the ingress")
        product = Product(self._environment, self._home / "logs")
        for program in (product.ingest(), product.jobs(), product.ingress(settings)):
            await self._supervisor.start(program)
        if self._simulation:
            self._say("Starting a simulated Facebook")
            await self._supervisor.start(self._simulation.program(product, settings))
            await self._simulation.add_pages(product)
        key = await self._api_key(product, settings)
        return welcome(
            settings,
            key=key,
            key_file=self._secrets.path("api-key"),
            postgres=self._postgres,
            simulated=self._simulation is not None,
        )

    def _choose_ports(self) -> None:
        host = self._given.ingress_host
        port = self._given.ingress_port or ports.any_free(host)
        self._environment["INGRESS_PORT"] = str(port)
        ports.check_free("INGRESS_PORT", host, port)
        if self._given.api_port:
            ports.check_free("API_PORT", host, self._given.api_port)
        if self._given.metrics_port:
            ports.check_free("METRICS_PORT", host, self._given.metrics_port)

    async def _start_servers(self) -> None:
        if not self._given.database_url:
            self._postgres = self._held.enter_context(servers.postgres_server(self._home))
            self._say(f"Starting PostgreSQL on {self._postgres.data}")
            for other in self._postgres.data.parent.glob("pg-[0-9]*"):
                if other != self._postgres.data:
                    self._say(f"  {other} is of another version; its data is left alone")
            await self._supervisor.start(self._postgres.program)
            self._environment["DATABASE_URL"] = self._postgres.url
        if not self._given.redis_url:
            redis = self._held.enter_context(servers.redis_server(self._home))
            self._say(f"Starting Redis on {redis.data}")
            await self._supervisor.start(redis.program)
            self._environment["REDIS_URL"] = redis.url

    def _provide_what_is_not_set(self) -> None:
        if not self._given.webhook_verify_token:
            token = self._secrets.made_once("webhook-verify-token", keys.word)
            self._environment["WEBHOOK_VERIFY_TOKEN"] = token
        if not self._given.token_encryption_keys:
            key = self._secrets.made_once("token-encryption-key", keys.encryption_key)
            self._environment["TOKEN_ENCRYPTION_KEYS"] = key
        if not self._given.facebook_app_secrets:
            self._simulation = Simulation(self._secrets, ports.any_free("127.0.0.1"))
            self._environment |= self._simulation.settings()

    def _leave_settings_for_the_command_line(self) -> None:
        lines = []
        for name in (name for one in config.SETTINGS for name in (one.name, one.name + "_FILE")):
            if value := self._environment.get(name):
                quoted = value.replace("\\", r"\\").replace("'", r"\'")
                lines.append(f"{name}='{quoted}'\n")
        keys.write_private(self._home / "env", "".join(lines))

    async def _api_key(self, product: Product, settings: Settings) -> str:
        """Return a key that opens the API: the one made before, unless it was revoked."""
        key = self._secrets.read("api-key")
        if key is None or not _opens(key, settings):
            made = await product.command("key", "create", "--scope", "admin", "--name", "make run")
            key = self._secrets.keep("api-key", made["key"])
        return key


def _opens(key: str, settings: Settings) -> bool:
    status, _ = ports.get(
        settings.ingress_host,
        settings.api_port or settings.ingress_port,
        "/api/pages",
        Authorization=f"Bearer {key}",
    )
    return status != http.HTTPStatus.UNAUTHORIZED
