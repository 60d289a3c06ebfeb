"""The table of faults names kinds and tests that exist, and forgets none of the kinds."""

import ast
from functools import cache
from pathlib import Path

from tests.faults.matrix import MATRIX, NotTried
from tests.faults.nemesis import FAULTS

TESTS = Path(__file__).parents[1]
NAMED = {name for tried in MATRIX.values() if not isinstance(tried, NotTried) for name in tried}


@cache
def _functions(file: str) -> set[str]:
    path = TESTS / file
    nodes = ast.walk(ast.parse(path.read_text())) if path.exists() else ()
    return {getattr(node, "name", "") for node in nodes}


def test_every_fault_is_tried_or_has_a_reason():
    assert [fault for fault, tried in MATRIX.items() if not any(tried)] == []


def test_every_test_it_names_exists():
    tests = [name.split("::") for name in sorted(NAMED - FAULTS.keys())]
    assert [one for one in tests if len(one) != 2 or one[1] not in _functions(one[0])] == []


def test_every_kind_of_fault_stands_in_it():
    assert sorted(FAULTS.keys() - NAMED) == []


def test_every_test_of_the_suite_stands_in_it():
    suite = {f"faults/{path.name}" for path in (TESTS / "faults").glob("test_*.py")}
    assert sorted(suite - {name.split("::")[0] for name in NAMED}) == []
