"""The settings: read once at the edge of the process, checked whole, then handed down.

`SETTINGS` is the one table of names, defaults and meanings; `env.example` and the README's table
are checked against it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from dotenv import dotenv_values
from msgspec import Struct, structs

from shared.errors import SettingsError


class Secret(str):
    """Text that must not be shown: its repr is three stars. `reveal()` is where it is used."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def reveal(self) -> str:
        return str.__str__(self)


Parse: TypeAlias = Callable[[str], Any]

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}


def duration(text: str) -> timedelta:
    """Read `90s`, `5m`, `24h`, `7d`, `250ms` or a number of seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError("must be a duration such as 30s, 5m, 24h or 7d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _at_least_a_day(text: str) -> timedelta | None:
    if text.strip() == "forever":
        return None
    kept = duration(text)
    if kept < timedelta(days=1):
        raise ValueError("must be `forever`, or a duration of a day or more such as 365d")
    return kept


def _number(lowest: int, highest: int) -> Parse:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text.strip()):
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        value = int(text)
        if not lowest <= value <= highest:
            raise ValueError(f"must be from {lowest} to {highest}")
        return value

    return parse


def _rate(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text.strip()):
        raise ValueError("must be a number of calls a second, or 0 for no limit")
    return float(text)


def _url(*schemes: str) -> Parse:
    def parse(text: str) -> Secret:
        try:
            scheme = urlsplit(text.strip()).scheme
        except ValueError:
            scheme = ""
        if scheme not in schemes:
            raise ValueError(
                "must be a URL that starts with " + " or ".join(f"{s}://" for s in schemes)
            )
        return Secret(text.strip())

    return parse


def _urls(*schemes: str) -> Parse:
    """Spaces part them: the commas of `redis+sentinel://` stand within one."""
    one = _url(*schemes)

    def parse(text: str) -> tuple[Secret, ...]:
        return tuple(dict.fromkeys(map(one, text.split())))

    return parse


def _word(*words: str) -> Parse:
    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return text.strip().lower()

    return parse


def _secret(text: str) -> Secret:
    if not text.strip():
        raise ValueError("must not be empty")
    return Secret(text.strip())


def _secrets(text: str) -> tuple[Secret, ...]:
    found = tuple(Secret(part.strip()) for part in text.split(",") if part.strip())
    if not found:
        raise ValueError("must not be empty")
    return found


def _keys(text: str) -> tuple[Secret, ...]:
    found = _secrets(text)
    for key in found:
        try:
            raw = base64.b64decode(key.reveal(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            raise ValueError("each key must be 32 random bytes in URL-safe base64")
    return found


def _version(text: str) -> str:
    if not re.fullmatch(r"v\d{1,3}\.\d", text.strip()):
        raise ValueError("must look like v26.0")
    return text.strip()


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of a process. Secrets are masked in its repr.

    A name a process did not ask for and nobody set has its type's empty value.
    """

    database_url: Secret
    database_pool_min: int
    database_pool_max: int
    database_read_url: Secret
    redis_url: Secret
    backlog_redis_urls: tuple[Secret, ...]
    cache_redis_url: Secret
    facebook_app_id: str
    facebook_app_secrets: tuple[Secret, ...]
    webhook_verify_token: Secret
    graph_api_url: str
    graph_api_version: str
    graph_page_calls_per_second: float
    token_encryption_keys: tuple[Secret, ...]
    ingress_host: str
    ingress_port: int
    ingress_processes: int
    api_port: int | None
    metrics_port: int | None
    ingress_log: str
    sync_interval: timedelta
    sync_overlap: timedelta
    sync_full_interval: timedelta
    sync_slice: int
    sync_messages: int
    cache_ttl: timedelta
    raw_retention: timedelta
    message_retention: timedelta | None
    log_format: str
    log_level: str


class Setting(Struct, frozen=True):
    """One name: the field it fills, its default as it would be written, and how it is read."""

    name: str
    field: str
    default: str | None
    parse: Parse
    meaning: str
    secret: bool = False
    empty: Any = ""


_POSTGRES = ("postgresql", "postgres")
_REDIS = ("redis", "rediss", "unix", "redis+sentinel")

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DATABASE_URL",
        "database_url",
        None,
        _url(*_POSTGRES),
        "Postgres, `postgresql://…`; embedded under `make run`",
        secret=True,
        empty=Secret(""),
    ),
    Setting(
        "DATABASE_POOL_MIN",
        "database_pool_min",
        "2",
        _number(0, 1000),
        "connections a process keeps",
    ),
    Setting(
        "DATABASE_POOL_MAX",
        "database_pool_max",
        "10",
        _number(1, 1000),
        "connections a process may open",
    ),
    Setting(
        "DATABASE_READ_URL",
        "database_read_url",
        None,
        _url(*_POSTGRES),
        "a replica for search and history paging; `DATABASE_URL` when unset",
        secret=True,
        empty=Secret(""),
    ),
    Setting(
        "REDIS_URL",
        "redis_url",
        None,
        _url(*_REDIS),
        "Redis or Valkey, `redis://`, `rediss://`, `unix://` or "
        "`redis+sentinel://host1,host2/name`; embedded under `make run`",
        secret=True,
        empty=Secret(""),
    ),
    Setting(
        "BACKLOG_REDIS_URLS",
        "backlog_redis_urls",
        None,
        _urls(*_REDIS),
        "the servers that share the backlog, spaces between them; `REDIS_URL` when unset",
        secret=True,
        empty=(),
    ),
    Setting(
        "CACHE_REDIS_URL",
        "cache_redis_url",
        None,
        _url(*_REDIS),
        "another Redis for the cache, may evict; `REDIS_URL` when unset",
        secret=True,
        empty=Secret(""),
    ),
    Setting("FACEBOOK_APP_ID", "facebook_app_id", None, _text, "the app's id"),
    Setting(
        "FACEBOOK_APP_SECRET",
        "facebook_app_secrets",
        None,
        _secrets,
        "the app's secret; a comma list is for rotation: all are accepted, the first signs "
        "`appsecret_proof`",
        secret=True,
        empty=(),
    ),
    Setting(
        "WEBHOOK_VERIFY_TOKEN",
        "webhook_verify_token",
        None,
        _secret,
        "what Facebook's handshake must present; no default, ever",
        secret=True,
        empty=Secret(""),
    ),
    Setting(
        "GRAPH_API_URL",
        "graph_api_url",
        "https://graph.facebook.com",
        _url("https", "http"),
        "where Graph answers",
    ),
    Setting("GRAPH_API_VERSION", "graph_api_version", "v26.0", _version, "Graph's version"),
    Setting(
        "GRAPH_PAGE_CALLS_PER_SECOND",
        "graph_page_calls_per_second",
        "2",
        _rate,
        "Graph calls a Page may cost each second; 0: no such limit (simulator)",
    ),
    Setting(
        "TOKEN_ENCRYPTION_KEYS",
        "token_encryption_keys",
        None,
        _keys,
        "comma list, each 32 random bytes in URL-safe base64; the first encrypts, all decrypt",
        secret=True,
        empty=(),
    ),
    Setting("INGRESS_HOST", "ingress_host", "127.0.0.1", _text, "address to listen on"),
    Setting("INGRESS_PORT", "ingress_port", "8080", _number(0, 65535), "port to listen on"),
    Setting(
        "INGRESS_PROCESSES",
        "ingress_processes",
        "1",
        _number(1, 64),
        "ingress processes that share the port",
    ),
    Setting(
        "API_PORT",
        "api_port",
        None,
        _number(0, 65535),
        "a listener of its own for the API; unset: it shares the ingress listener",
        empty=None,
    ),
    Setting(
        "METRICS_PORT",
        "metrics_port",
        None,
        _number(0, 65535),
        "a listener of its own for `/metrics`; unset: on the API listener",
        empty=None,
    ),
    Setting(
        "INGRESS_LOG",
        "ingress_log",
        "redis",
        _word("redis", "postgres", "both"),
        "where acknowledged webhooks are made durable: `redis` (spills to Postgres), "
        "`postgres`, `both`",
    ),
    Setting(
        "SYNC_INTERVAL",
        "sync_interval",
        "5m",
        duration,
        "rhythm of incremental syncs (adaptive under it); 0: nothing is synced by itself",
    ),
    Setting(
        "SYNC_OVERLAP",
        "sync_overlap",
        "10m",
        duration,
        "how far before its sync point a sync reads again",
    ),
    Setting("SYNC_FULL_INTERVAL", "sync_full_interval", "24h", duration, "rhythm of full walks"),
    Setting("SYNC_SLICE", "sync_slice", "100", _number(1, 500), "conversations a Graph call"),
    Setting(
        "SYNC_MESSAGES",
        "sync_messages",
        "25",
        _number(1, 100),
        "newest messages nested in each conversation",
    ),
    Setting("CACHE_TTL", "cache_ttl", "5m", duration, "how long a cached answer may live"),
    Setting(
        "RAW_RETENTION",
        "raw_retention",
        "7d",
        duration,
        "how long raw webhook items are kept for replay",
    ),
    Setting(
        "MESSAGE_RETENTION",
        "message_retention",
        "forever",
        _at_least_a_day,
        "how long messages are kept after they were sent, with all that hangs on them, such as "
        "`365d`",
    ),
    Setting(
        "LOG_FORMAT",
        "log_format",
        "auto",
        _word("auto", "json", "console"),
        "`json`, `console`, or `auto`: JSON unless a terminal",
    ),
    Setting(
        "LOG_LEVEL",
        "log_level",
        "info",
        _word("debug", "info", "warning", "error"),
        "lowest level logged",
    ),
)
_FIELDS = {setting.field: setting for setting in SETTINGS}


def _given(setting: Setting, environ: Mapping[str, str], problems: list[str]) -> str | None:
    """Return what was set for a name, from `NAME` or (secrets) the file `NAME_FILE`."""
    direct = environ.get(setting.name)
    named = environ.get(setting.name + "_FILE") if setting.secret else None
    if named:
        if direct:
            problems.append(f"{setting.name} and {setting.name}_FILE are both set: keep one")
        try:
            # The newline editors put at a file's end is not part of the secret.
            return Path(named).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            problems.append(f"{setting.name}_FILE cannot be read: {reason}")
            return None
    return direct or None


def load(
    environ: Mapping[str, str], *, wants: tuple[str, ...], dotenv: Path | None = None
) -> Settings:
    """Read the settings; `wants` are the fields this process cannot do without.

    `dotenv` is a file of lower rank than `environ`. All problems are raised at once, as one
    `SettingsError` that names each setting and never shows a value.
    """
    if dotenv is not None and dotenv.is_file():
        environ = {k: v for k, v in dotenv_values(dotenv).items() if v is not None} | dict(environ)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        given = _given(setting, environ, problems)
        text = given if given is not None else setting.default
        if text is None:
            values[setting.field] = setting.empty
            if setting.field in wants and not any(
                p.startswith(setting.name + "_") for p in problems
            ):
                problems.append(f"{setting.name} is not set: {setting.meaning}")
            continue
        try:
            values[setting.field] = setting.parse(text)
        except ValueError as error:
            problems.append(f"{setting.name} {error}")
    if not problems and values["database_pool_min"] > values["database_pool_max"]:
        problems.append("DATABASE_POOL_MIN must not be more than DATABASE_POOL_MAX")
    if problems:
        raise SettingsError(problems)
    settings = Settings(**values)
    return structs.replace(
        settings,
        database_read_url=settings.database_read_url or settings.database_url,
        backlog_redis_urls=settings.backlog_redis_urls
        or ((settings.redis_url,) if settings.redis_url else ()),
        cache_redis_url=settings.cache_redis_url or settings.redis_url,
    )
