"""What `pagewire doctor` looks at: a check does not raise what is wrong, it tells it."""

from collections.abc import AsyncIterator

from ingress.cli import configuration, graph
from ingress.cli.checks import facebook, pages, stores
from ingress.cli.checks.finding import Finding
from shared.config import SETTINGS, Settings
from shared.errors import SettingsError
from shared.store.database import Database

NEEDED = (
    "database_url",
    "redis_url",
    "facebook_app_id",
    "facebook_app_secrets",
    "webhook_verify_token",
    "token_encryption_keys",
)


async def examine() -> AsyncIterator[Finding]:
    """Look at everything that can be reached, the ground first."""
    try:
        settings = configuration.settings()
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(subject="Settings", ok=False, text=problem, fix="`pagewire config`")
        return
    yield _settings(settings)
    clocks: dict[str, float] = {}
    database = Database(settings.database_url.reveal(), high=pages.AT_ONCE)
    try:
        async for finding in stores.postgres(settings, database, clocks):
            yield finding
        async for finding in stores.redis(settings, clocks):
            yield finding
        async for finding in stores.inbox(settings):
            yield finding
        if settings.facebook_app_id and settings.facebook_app_secrets:
            async with graph.connected(settings) as client:
                async for finding in facebook.app(settings, client, clocks):
                    yield finding
                async for finding in pages.every_page(settings, database, client):
                    yield finding
        yield stores.clock(clocks)
    finally:
        await database.close()


def _settings(settings: Settings) -> Finding:
    missing = [
        one.name for one in SETTINGS if one.field in NEEDED if not getattr(settings, one.field)
    ]
    if missing:
        return Finding(
            subject="Settings",
            ok=False,
            text="not set: " + ", ".join(missing),
            fix="Set them in the environment or in .env, or start everything with `make run`.",
        )
    return Finding(subject="Settings", ok=True, text="everything needed is set")
