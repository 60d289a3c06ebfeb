"""Where the settings come from: the environment, `.env`, or a `make run` in this folder."""

import os
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from msgspec import Struct

from ingress.cli.problem import Problem
from shared import config
from shared.config import Setting, Settings

DOTENV = Path(".env")
LOCAL = Path(".pagewire/env")
"""What `make run` writes while it runs: the settings it started everything with."""

_STORES = ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE")


class Source(Struct, frozen=True):
    """One place settings come from, and what it sets."""

    name: str
    values: dict[str, str]


def sources() -> list[Source]:
    """Return the places that count here, the strongest first."""
    found = [Source("environment", _set(os.environ)), Source(str(DOTENV), _file(DOTENV))]
    local = _file(LOCAL)
    given = _merged(found)
    # Never half of one deployment and half of another.
    if local and all(given.get(name) in (None, local.get(name)) for name in _STORES):
        found.append(Source(str(LOCAL), local))
    return found


def settings(*wants: str) -> Settings:
    """Return the settings; raises SettingsError where the fields `wants` are not set."""
    return config.load(_merged(sources()), wants=wants)


def given(setting: Setting) -> str | None:
    """Return what a setting is, as it was written, or None; for a file, the file's name."""
    found = _found(setting)
    return setting.default if found is None else found[1]


def source_of(setting: Setting) -> str:
    """Return where a setting's value comes from, in words."""
    found = _found(setting)
    if found is None:
        return "not set" if setting.default is None else "default"
    return found[0]


def _found(setting: Setting) -> tuple[str, str] | None:
    for source in sources():
        if value := source.values.get(setting.name):
            return source.name, value
        if setting.secret and (path := source.values.get(setting.name + "_FILE")):
            return f"{source.name}, {setting.name}_FILE", path
    return None


def advice(name: str) -> str:
    """Return what to do about a store that cannot be used, by the name of its setting."""
    source = source_of(next(setting for setting in config.SETTINGS if setting.name == name))
    if source == str(LOCAL):
        return f"Start it again with `make run`: {name} is from its {source}."
    return f"See that it runs and that {name} ({source}) is right: `pagewire config`."


def _file(path: Path) -> dict[str, str]:
    try:
        values = dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Problem(f"{path} cannot be read.", reason) from error
    return _set(values)


def _set(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return what is set: an empty value is none."""
    return {name: value for name, value in values.items() if value}


def _merged(found: list[Source]) -> Mapping[str, str]:
    return ChainMap(*(source.values for source in found))
