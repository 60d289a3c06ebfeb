"""The README says what the code says."""

from pathlib import Path

from shared.config import SETTINGS, Setting

README = Path(__file__).parents[2] / "README.md"


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default is not None else "–"
    return f"| `{setting.name}` | {default} | {setting.meaning} |"


def test_its_table_of_settings_is_the_one_the_code_reads():
    """Paste the table this test shows when settings change."""
    table = "\n".join(["| name | default | meaning |", "|---|---|---|", *map(_row, SETTINGS)])
    assert table in README.read_text()
