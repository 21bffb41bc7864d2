"""Counters and gauges for Prometheus. Each service has a registry of its own.

Labels are few and fixed: routes as patterns, never a question, a document or a person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rag.errors import RagError, SettingsError
from ui.guard import Scope
from ui.job import Job
from ui.library import Library

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

    from ui.services import Services

__all__ = ["Metrics"]

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_STAGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


class Metrics:
    """What is counted.

    Raises:
        SettingsError: the packages of the service are not installed.
    """

    def __init__(self, services: Services) -> None:
        try:
            import prometheus_client as prometheus
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"the service needs a package that is not installed ({error.name}): "
                "pip install 'footnote[server]'"
            ) from None
        self.registry = registry = prometheus.CollectorRegistry()
        self._prometheus = prometheus
        self._questions = prometheus.Counter(
            "footnote_questions", "Questions by how they ended", ["outcome"], registry=registry
        )
        self._stages = prometheus.Histogram(
            "footnote_stage_seconds",
            "Seconds that questions spent in each stage",
            ["stage"],
            buckets=_STAGE_S,
            registry=registry,
        )
        self._model = prometheus.Counter(
            "footnote_model_seconds", "Seconds that the model took", registry=registry
        )
        self._embedder = prometheus.Counter(
            "footnote_embedder_seconds",
            "Seconds that the embedder took for questions",
            registry=registry,
        )
        self._tokens = prometheus.Counter(
            "footnote_tokens", "Tokens that the model read and wrote", ["kind"], registry=registry
        )
        self._requests = prometheus.Counter(
            "footnote_requests",
            "HTTP requests to the service",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = prometheus.Histogram(
            "footnote_request_seconds",
            "Seconds until an HTTP response was sent whole",
            ["route"],
            buckets=_REQUEST_S,
            registry=registry,
        )
        desk = services.desk
        for name, text, count in (
            ("footnote_questions_waiting", "Questions in the queue", desk.waiting),
            ("footnote_questions_writing", "Questions that are being answered", desk.writing),
        ):
            prometheus.Gauge(name, text, registry=registry).set_function(count)
        prometheus.ProcessCollector(registry=registry)
        registry.register(_Sizes(services.library))
        desk.on_ended.append(self.question)

    def question(self, job: Job) -> None:
        """A question has ended."""
        self._questions.labels(job.outcome).inc()
        for stage, seconds in job.seconds().items():
            self._stages.labels(stage).observe(seconds)
        self._model.inc(job.model_s)
        self._embedder.inc(job.embed_s)
        if job.answer:
            timings = job.answer.timings
            self._tokens.labels("prompt").inc(timings.prompt_tokens)
            self._tokens.labels("generated").inc(timings.generated_tokens)

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has ended; what no route took counts as "none"."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """Everything in Prometheus's text format, and its media type."""
        latest: bytes = self._prometheus.generate_latest(self.registry)
        return latest, str(self._prometheus.CONTENT_TYPE_PLAIN_0_0_4)


class _Sizes:
    """How much each collection holds, looked up when somebody asks."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def collect(self) -> Iterable[GaugeMetricFamily]:
        from prometheus_client.core import GaugeMetricFamily

        from ui.people import OWNER

        documents = GaugeMetricFamily(
            "footnote_documents", "Documents of each collection", labels=["collection"]
        )
        passages = GaugeMetricFamily(
            "footnote_passages", "Passages of each collection", labels=["collection"]
        )
        names: list[str] = []
        with contextlib.suppress(RagError):  # with the store away, all else is worth knowing
            names = self._library.names(OWNER)
        for name in names:
            try:
                with self._library.view(name) as opened:
                    counts = opened.counts()
            except RagError:  # damaged, or gone meanwhile: no figure is better than a wrong one
                continue
            for family, count in zip((documents, passages), counts, strict=True):
                family.add_metric([name], count)
        return documents, passages

    def describe(self) -> Iterable[Any]:
        """Nothing is looked up when this is registered."""
        return ()
