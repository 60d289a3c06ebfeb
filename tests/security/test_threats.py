"""The guide's table of threats names walls that are pushed against, and tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "deploy" / "guides" / "security.md").read_text()
TABLE = GUIDE.partition("## Threats")[2].partition("\n## ")[0]
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_every_threat_names_a_test_that_exists():
    missing = []
    for row in ROWS:
        named = re.search(r"\| `(tests/\S+\.py)::(test_\w+)` \|$", row)
        assert named, f"names no test: {row}"
        file, test = named.groups()
        tree = ast.parse((ROOT / file).read_text()) if (ROOT / file).exists() else None
        functions = ast.walk(tree) if tree else ()
        if test not in {getattr(node, "name", None) for node in functions}:
            missing.append(f"{file}::{test}")
    assert len(ROWS) > 20
    assert missing == []


def test_every_test_of_security_is_in_the_table():
    """A wall that is tested and not told of would be taken down by the next who tidies up."""
    files = {str(path.relative_to(ROOT)) for path in Path(__file__).parent.glob("test_*.py")}
    files -= {str(Path(__file__).relative_to(ROOT))}
    assert [file for file in sorted(files) if file not in GUIDE] == []
