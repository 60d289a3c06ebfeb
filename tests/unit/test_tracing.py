"""Traces: nothing where nobody wants them, and never what was said."""

import os
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import tracing

SAMPLED, UNSAMPLED = (
    f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{flag}" for flag in (1, 0)
)


def test_an_error_is_told_by_its_kind_alone():
    exporter = InMemorySpanExporter()
    with (
        tracing.sent_to(SimpleSpanProcessor(exporter), "test"),
        pytest.raises(ValueError),
        tracing.span("work"),
    ):
        raise ValueError("what somebody wrote")
    [span] = exporter.get_finished_spans()
    assert span.status.description == "ValueError"
    assert "what somebody wrote" not in span.to_json()


def test_who_is_not_sampled_is_not_traced_further():
    exporter = InMemorySpanExporter()
    with tracing.sent_to(SimpleSpanProcessor(exporter), "test"):
        with tracing.joined("left out", [UNSAMPLED]):
            assert tracing.here() == UNSAMPLED
            with tracing.span("left out, too"):
                assert tracing.here().endswith("-00")
        with tracing.joined("kept", [UNSAMPLED, SAMPLED]):
            pass
        with tracing.joined("of nobody known", ["", "nonsense"]):
            pass
    kept, unknown = exporter.get_finished_spans()
    assert (kept.name, kept.parent.span_id) == ("kept", 0xB7AD6B7169203331)
    assert (unknown.name, unknown.parent) == ("of nobody known", None)


def test_nothing_is_asked_of_opentelemetry_where_nobody_wants_traces():
    with tracing.told("test"), tracing.joined("work", [SAMPLED]):
        assert not tracing.is_on()
        assert tracing.carried() == {}


def test_without_the_package_that_is_said_and_everything_goes_on():
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from shared import log, tracing\n"
        "log.configure(form='json')\n"
        "with tracing.told('test'), tracing.span('work'): print(tracing.is_on())\n"
    )
    wanted = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | wanted,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
    assert "pagewire[otel]" in done.stderr
