"""Events of the loop and the engine as OpenTelemetry spans. Home of opentelemetry.

`commands.run` opens it where the environment names an endpoint; without the packages it only warns. Spans are named
fetch, reconciliation, plan, apply and change; attributes hold addresses and counts, never values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.telemetry import Event

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PARENTS: Final[Mapping[str, str]] = {
    "plan": "reconciliation",
    "apply": "reconciliation",
    "change": "apply",
}
_ENDS: Final = ("done", "failed", "skipped")
_ATTRIBUTES: Final = (
    "cluster",
    "address",
    "action",
    "revision",
    "mode",
    "phase",
    "changes",
    "drift",
    "failure",
    "run",
)

Key = tuple[str, str, int]  # span, cluster, number of the change


class Tracing:
    """Turns events into spans; safe to use from several threads."""

    def __init__(self, tracer: Tracer, close: Callable[[], object] = lambda: None) -> None:
        self._tracer = tracer
        self._open: dict[Key, Span] = {}
        self._lock = threading.Lock()
        self.close = close

    def observe(self, event: Event) -> None:
        """Start or end a span, where *event* marks one."""
        what, _, step = event.name.rpartition(".")
        if what not in ("fetch", "reconciliation", *_PARENTS):
            return
        about = event.attributes
        key = (what, str(about.get("cluster", "")), int(about.get("number", 0)))
        with self._lock:
            if step == "started":
                self._open[key] = self._start(key, about)
            elif step in _ENDS and key in self._open:
                self._end(self._open.pop(key), about, failed=step == "failed")

    def _start(self, key: Key, about: Mapping[str, Any]) -> Span:
        from opentelemetry.trace import set_span_in_context

        above = self._open.get((_PARENTS[key[0]], key[1], 0)) if key[0] in _PARENTS else None
        context = set_span_in_context(above) if above is not None else None
        return self._tracer.start_span(key[0], context=context, attributes=_attributes(about))

    def _end(self, span: Span, about: Mapping[str, Any], *, failed: bool) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attributes(_attributes(about))
        if failed:
            span.set_status(Status(StatusCode.ERROR, str(about.get("failure", ""))))
        span.end()


def _attributes(about: Mapping[str, Any]) -> dict[str, Any]:
    return {f"reconciler.{name}": about[name] for name in _ATTRIBUTES if about.get(name) not in (None, "")}


def open_tracing(environ: Mapping[str, str], version: str, warn: Callable[[str], object]) -> Tracing | None:
    """Return the exporter to the endpoint that the environment names; None where it names none."""
    if not environ.get(ENDPOINT):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        warn(f"{ENDPOINT} is set, but tracing needs more libraries: pip install 'redis-reconciler[otel]'")
        return None
    resource = Resource.create({"service.name": "reconciler", "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider.get_tracer("reconciler", version), provider.shutdown)
