"""What an operator copies says what the code says. `make deploy-check` has the tools judge it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from deploy.check import env_example, figures, measured
from deploy.check.checks import expressions
from shared import metrics
from shared.config import SETTINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = (DEPLOY / "prometheus/alerts.yml").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()

# What Prometheus itself adds, and what every Python process tells.
ITS_OWN = {"up", "process_resident_memory_bytes"}
ITS_LABELS = {"instance", "job", "le"}


def test_env_example_is_written_from_the_settings():
    """Write it anew: python -m deploy.check.env_example > deploy/env.example"""
    assert (DEPLOY / "env.example").read_text() == env_example.text()


def test_what_compose_asks_for_stands_in_env_example():
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE))
    told = set(re.findall(r"^(?:# )?([A-Z_]+)=", env_example.text(), re.MULTILINE))
    assert asked - told == set()


def test_every_setting_gets_through_compose():
    given = set(re.findall(r"^ +([A-Z_]+):", COMPOSE, re.MULTILINE))
    # The image says the first; containers need no other port; one machine has one Redis.
    assert {setting.name for setting in SETTINGS} - given == {
        *("INGRESS_HOST", "INGRESS_PORT", "API_PORT", "BACKLOG_REDIS_URLS"),
    }


@pytest.mark.parametrize("page", figures.PAGES)
def test_measured_figures_are_written_by_no_hand(page: str):
    """Write them anew: make figures"""
    text = (DEPLOY.parent / page).read_text()
    kept = measured.Figures(json.loads(figures.KEPT.read_text()))
    assert figures.filled(text, kept) == text
    assert re.findall(r"<!-- figures: (\w+) -->", text), "it has none"


def test_what_was_not_measured_is_not_made_up():
    nothing = measured.Figures(
        {
            "machine": dict.fromkeys(
                (
                    "command",
                    "processor",
                    "PostgreSQL",
                    "Valkey",
                    "Python",
                    "load average at the start",
                ),
                "",
            ),
            "figures": [],
        }
    )
    for write in figures.WRITTEN.values():
        assert "None" not in write(nothing)
    assert "not measured" in figures.capacity(nothing)


def _metrics() -> Iterator[tuple[str, set[str]]]:
    """Yield every name that can be asked for, with the labels it has."""
    ours = [m for m in vars(metrics).values() if hasattr(m, "_labelnames")]
    assert ours
    for family in REGISTRY.collect():
        collector = next((m for m in ours if m._name == family.name), None)
        if collector is not None:
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
            for ending in endings.get(family.type, ("",)):
                yield family.name + ending, set(collector._labelnames)


def _asked() -> list[str]:
    """Return every expression of the alerts and of the dashboards."""
    alerts = re.findall(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", ALERTS)
    dashboards = (DEPLOY / "grafana/dashboards").glob("*.json")
    found = [block or line for block, line in alerts]
    assert len(found) == ALERTS.count("- alert:")
    return found + [e for file in dashboards for e in expressions(json.loads(file.read_text()))]


@pytest.mark.parametrize("expression", _asked())
def test_every_expression_asks_for_numbers_and_labels_that_exist(expression: str):
    known = dict(_metrics()) | {name: set() for name in ITS_OWN}
    names = re.findall(r"\b(?:pagewire_\w+|process_\w+|up)\b", expression)
    assert names, "it asks for nothing"
    assert set(names) - known.keys() == set()
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
        asked = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
        assert asked <= known[name] | ITS_LABELS, name
    for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        wanted = {label.strip() for label in labels.split(",")}
        assert wanted <= ITS_LABELS.union(*(known[name] for name in names))


def test_every_alert_is_tried_and_has_its_chapter_in_the_runbook():
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    tried = (DEPLOY / "prometheus/alerts_test.yml").read_text()
    runbook = (DEPLOY / "guides/operations.md").read_text()
    for alert in alerts:
        case = rf"alertname: {alert}\s+exp_alerts:"
        assert re.search(case, tried), f"{alert} is never seen to fire"
        assert f"#{alert.lower()}\n" in ALERTS, f"{alert} names no chapter"
        assert f"\n### {alert}\n" in runbook, f"{alert} has no chapter"
    chapters = re.findall(r"^### (\w+)$", runbook, re.MULTILINE)
    assert [c for c in chapters if c not in alerts] == []


def test_every_metric_is_looked_at():
    """A number nobody draws and nobody is woken by is not worth its counting."""
    drawn = DEPLOY.parent / "ingress/api/ops.py"
    text = " ".join(_asked()) + drawn.read_text()
    assert [name for name, _ in _metrics() if not name.endswith(("_sum", "_count"))
            and name not in text] == []  # fmt: skip
