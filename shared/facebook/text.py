"""Text as Facebook sends it, made fit to be kept: Postgres takes no NUL and no half emoji."""

import json
import re
from typing import Any

_UNFIT = re.compile("[\x00\ud800-\udfff]")

_INT_DIGITS = 4_000
"""Longer integers stay text: Python itself refuses to convert more than 4,300 digits."""


def clean(text: str) -> str:
    """Return `text` with each NUL and lone surrogate replaced by U+FFFD."""
    return _UNFIT.sub("\ufffd", text)


def clean_json(value: Any) -> Any:
    """Return a decoded JSON value with every string in it, keys too, made clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_json(part) for part in value]
    if isinstance(value, dict):
        return {clean(key): clean_json(part) for key, part in value.items()}
    return value


def mend(raw: bytes) -> tuple[Any, bool]:
    """Decode JSON that a strict decoder refuses, and say whether its text had to be cleaned.

    Accepts what can still be understood: escaped NUL and lone surrogates, bytes that are no
    UTF-8, control characters in strings, numbers too large for a machine (kept as their text).
    Raises `ValueError` or `RecursionError` where nothing helps.
    """
    # Bytes that are no UTF-8 become lone surrogates here, and are cleaned like the others.
    value = _lenient.decode(raw.decode("utf-8", "surrogateescape"))
    cleaned = clean_json(value)
    return cleaned, cleaned != value


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _INT_DIGITS else digits


def _float(digits: str) -> float | str:
    value = float(digits)
    return digits if value in {float("inf"), float("-inf")} else value


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


_lenient = json.JSONDecoder(
    strict=False, parse_int=_int, parse_float=_float, parse_constant=_refuse
)
