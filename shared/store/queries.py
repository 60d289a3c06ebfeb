"""The statements of a `.sql` file beside this one, by name."""

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load(file: str) -> dict[str, str]:
    """Return the statements of a file in this folder: name -> SQL, comments left in."""
    parts = _NAME.split((Path(__file__).parent / file).read_text(encoding="utf-8"))[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
