"""Structured logs: a constant event name and facts as fields; ids, never content.

One form for our lines, arq's and aiohttp's. `configure` is called once, by a process's entry point.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

_SECRETS = re.compile(
    r"(EAA[A-Za-z0-9]{8,}"
    r"|(?:access_token|appsecret_proof|hub\.verify_token|input_token|signed_request)=[^&\s'\"]+"
    r"|Bearer\s+[^\s'\"]+"
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@))"
)


def redact(text: str) -> str:
    """Replace what looks like a token, a proof or a password in `text` by three stars."""
    return _SECRETS.sub("***", text)


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
    return event


def _json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def configure(level: str = "info", form: str = "auto") -> None:
    """Send all logs of this process to stderr, as JSON or (on a terminal) for reading."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_json)
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # arq prints every job's arguments at INFO; asyncpg prints tracebacks while a server is away.
    # arq's own command gives its logger a handler, which would pass by what is redacted here.
    arq = logging.getLogger("arq")
    arq.handlers.clear()
    arq.setLevel(logging.WARNING)
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; call it with a constant event name and fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
