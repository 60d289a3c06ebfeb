"""Traces, where OpenTelemetry is installed and told where to send them; nothing at all elsewhere.

A trace begins with a request and goes on through the backlog or the queue to the rows. What joins
several, such as one transaction for many webhooks, goes on with the trace of the first and links to
the others. Only requests, batches and jobs are told of: a look at an empty queue is no span.
Spans hold ids and counts, never content, and of an error its kind alone.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias

from shared import log

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import SpanContext

_log = log.get(__name__)

Place: TypeAlias = str
"""A place in a trace, as `traceparent` (https://www.w3.org/TR/trace-context/) writes it; empty
where nothing is traced."""

CARRIER = "traceparent"
"""The name a place travels under: in headers, and beside a job's arguments."""

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Fact: TypeAlias = str | int

# OpenTelemetry reads these itself, and OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and the like:
# https://opentelemetry.io/docs/languages/sdk-configuration/
_WHERE_TO = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class _Spans:
    """All that knows OpenTelemetry; built only where traces are wanted."""

    def __init__(self, processor: "SpanProcessor", service: str) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": service}
        self._api = trace
        self._wire, self._nowhere = TraceContextTextMapPropagator(), Context()
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("pagewire")

    def here(self) -> Place:
        carrier: dict[str, str] = {}
        self._wire.inject(carrier)
        return carrier.get(CARRIER, "")

    def note(self, facts: Mapping[str, Fact]) -> None:
        self._api.get_current_span().set_attributes(facts)

    @contextmanager
    def within(
        self, name: str, kind: Kind, places: Iterable[Place] | None, facts: Mapping[str, Fact]
    ) -> Iterator[None]:
        api, context, links = self._api, None, []
        told = [self._context(place) for place in dict.fromkeys(places or ()) if place]
        known = [one for one in told if one.is_valid]
        sampled = [one for one in known if one.trace_flags.sampled]
        if known and not sampled:
            with api.use_span(api.NonRecordingSpan(known[0])):
                yield
            return
        if sampled:
            first, *others = sampled
            context = api.set_span_in_context(api.NonRecordingSpan(first))
            links = [api.Link(other) for other in others]
        with self._tracer.start_as_current_span(
            name,
            context,
            api.SpanKind[kind.upper()],
            facts,
            links,
            # An error's text may quote what must not leave.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(api.StatusCode.ERROR, type(error).__name__)
                raise

    def _context(self, place: Place) -> "SpanContext":
        found = self._wire.extract({CARRIER: place}, self._nowhere)
        return self._api.get_current_span(found).get_span_context()

    def close(self) -> None:
        self._provider.shutdown()


_NOTHING = nullcontext()
_spans: _Spans | None = None


@contextmanager
def told(service: str) -> Iterator[None]:
    """Trace what this process does, if the environment says where to send it."""
    if not any(map(os.environ.get, _WHERE_TO)):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.warning("no_traces", reason="OpenTelemetry is not installed: pagewire[otel]")
        yield
        return
    # The last spans are worth no more: a stop waits this long for a collector that is away.
    with sent_to(BatchSpanProcessor(OTLPSpanExporter(timeout=2)), service):
        yield


@contextmanager
def sent_to(processor: "SpanProcessor", service: str) -> Iterator[None]:
    """Trace what this process does, and give it to `processor`."""
    global _spans  # noqa: PLW0603 - as the registry of the metrics, one a process
    _spans = _Spans(processor, service)
    try:
        yield
    finally:
        _spans.close()
        _spans = None


def is_on() -> bool:
    """Tell whether this process is traced."""
    return _spans is not None


def span(name: str, kind: Kind = "internal", **facts: Fact) -> AbstractContextManager[None]:
    """Tell of what is done within, as a part of what goes on here."""
    return _NOTHING if _spans is None else _spans.within(name, kind, None, facts)


def joined(
    name: str, places: Iterable[Place], kind: Kind = "consumer", **facts: Fact
) -> AbstractContextManager[None]:
    """Tell of what is done within for all who were at `places`."""
    return _NOTHING if _spans is None else _spans.within(name, kind, places, facts)


def note(**facts: Fact) -> None:
    """Add facts to the innermost span."""
    if _spans is not None:
        _spans.note(facts)


def here() -> Place:
    """Return the place this is called at, for somebody elsewhere to go on from."""
    return "" if _spans is None else _spans.here()


def carried() -> dict[str, Place]:
    """Return what a job takes along beside its arguments."""
    place = here()
    return {CARRIER: place} if place else {}
