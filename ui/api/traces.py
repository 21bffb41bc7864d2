"""Spans for OpenTelemetry, where `otlp_endpoint` is set; nothing at all where it is not.

A request is a span; below it one for the question, and one for each of its stages: retrieve, read,
write, check. Attributes hold counts and the collection's name, never the text of a question, an answer
or a document, nor who asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rag.errors import SettingsError
from rag.settings import Settings
from ui.guard import Scope
from ui.job import Job

__all__ = ["Traces"]

_NAMES = {
    "queued": "wait",
    "understanding": "understand",
    "searching": "retrieve",
    "reading": "read",
    "writing": "write",
    "comparing": "compare",
    "checking": "check",
    "storing": "store",
}
_SENDING_S = 2  # for one try to send spans; the last ones, too, when the service ends


class Traces:
    """Makes spans and sends them in the background.

    Raises:
        SettingsError: the packages that send them are not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self._tracer: Any = None
        if not settings.otlp_endpoint:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"otlp_endpoint needs a package that is not installed ({error.name}): "
                "pip install 'footnote[server]'"
            ) from None
        address = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
        self._provider = TracerProvider(resource=Resource.create({"service.name": "footnote"}))
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=_SENDING_S))
        )
        self._tracer = self._provider.get_tracer("footnote")

    @contextlib.contextmanager
    def request(self, scope: Scope) -> Iterator[Callable[[int], None]]:
        """A span around a request; what it gives is told the response's status.

        A caller's own trace, in the header `traceparent`, is carried on.
        """
        if self._tracer is None:
            yield lambda status: None
            return
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        caller = TraceContextTextMapPropagator().extract(headers)
        span = self._tracer.start_span(scope["method"], context=caller, kind=trace.SpanKind.SERVER)
        scope["state"]["trace"] = trace.set_span_in_context(span)

        def ended(status: int) -> None:
            route = getattr(scope.get("route"), "path", "")
            span.update_name(f"{scope['method']} {route}".strip())
            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)

        try:
            yield ended
        finally:
            span.end()

    def question(self, job: Job) -> None:
        """Spans of a question that has ended and of its stages, with the times that they took."""
        if self._tracer is None:
            return
        from opentelemetry import trace

        whole = self._tracer.start_span("question", context=job.trace, start_time=job.marks[0][1])
        whole.set_attribute("footnote.collection", job.collection)
        whole.set_attribute("footnote.outcome", job.outcome)
        whole.set_attribute("footnote.model_seconds", job.model_s)
        if job.answer:
            whole.set_attribute("footnote.prompt_tokens", job.answer.timings.prompt_tokens)
            whole.set_attribute("footnote.generated_tokens", job.answer.timings.generated_tokens)
            whole.set_attribute("footnote.citations", len(job.answer.citations))
        within = trace.set_span_in_context(whole)
        for (stage, begun), (_, ended) in zip(job.marks, job.marks[1:], strict=False):
            if stage in _NAMES:
                part = self._tracer.start_span(_NAMES[stage], context=within, start_time=begun)
                part.end(ended)
        whole.end(job.marks[-1][1])

    def close(self) -> None:
        """Send what is left, for a moment."""
        if self._tracer is not None:
            self._provider.shutdown()
