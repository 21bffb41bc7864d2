"""Metrics and traces: what is counted, who may see it, and that no text leaves with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from serving import TEXT, WHAT, Served, Several, serving

PEOPLE: Any = {"anna": ("admin", []), "otto": ("reader", [])}


def figures(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_what_happens_is_counted(tmp_path: Path) -> None:
    collections = {"papers": {"toll.txt": TEXT}, "empty": {}}
    with serving(tmp_path, collections=collections, questions_an_hour=2) as made:
        with made.client() as http:
            for name in ("papers", "empty", "papers"):
                http.post("/api/v1/ask", json={"question": WHAT, "collection": name})
            http.get("/api/v1/collections/papers/documents?q=secret")
            http.get("/nowhere/secret")
            answer = http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = figures(answer.text)
    assert found["footnote_questions_total", (("outcome", "answered"),)] == 1
    assert found["footnote_questions_total", (("outcome", "refused"),)] == 1
    stages = {labels[0][1] for name, labels in found if name == "footnote_stage_seconds_count"}
    assert {"queued", "searching", "reading", "writing", "checking", "storing"} <= stages
    assert found["footnote_tokens_total", (("kind", "generated"),)] == 11
    assert found["footnote_model_seconds_total", ()] > 0
    assert found["footnote_questions_waiting", ()] == 0
    assert found["footnote_documents", (("collection", "papers"),)] == 1
    assert found["footnote_documents", (("collection", "empty"),)] == 0
    assert found["process_resident_memory_bytes", ()] > 10_000_000
    asked = {"method": "POST", "route": "/api/v1/ask", "status": "429"}
    assert found["footnote_requests_total", tuple(sorted(asked.items()))] == 1
    listed = {
        "method": "GET", "route": "/api/v1/collections/{collection}/documents", "status": "200"
    }  # fmt: skip
    assert found["footnote_requests_total", tuple(sorted(listed.items()))] == 1
    assert "secret" not in answer.text


def test_metrics_are_for_admins(tmp_path: Path) -> None:
    with serving(tmp_path, people=PEOPLE) as made:
        with made.client("anna") as anna, made.client("otto") as otto, made.client() as nobody:
            assert anna.get("/metrics").status_code == 200
            assert otto.get("/metrics").status_code == 403
            assert nobody.get("/metrics").status_code == 401
            assert nobody.get("/ready").json() == {"ready": True}
            assert otto.get("/ready").json() == {"ready": True, "model": True, "store": True}


def test_readiness_says_what_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path) as made, made.client() as http:
        (made.services.settings.indexes / "papers" / "collection.db").unlink()
        answer = http.get("/ready")
        assert (answer.status_code, answer.json()["store"]) == (503, False)
        assert http.get("/health").status_code == 200


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """An OTLP collector: its address, and every span that it was sent."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in one.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *what: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def ask(made: Served, **headers: str) -> None:
    with made.client(headers=headers) as http:
        assert http.post("/api/v1/ask", json={"question": WHAT}).status_code == 200
        http.get("/api/v1/collections/papers/text?document=toll.txt")


def test_spans_tell_of_stages_and_of_no_text(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with collector() as (address, spans):
        with serving(tmp_path, otlp_endpoint=address) as made:
            ask(made, traceparent=f"00-{trace}-b7ad6b7169203331-01")
        until = time.monotonic() + 5
        while len(spans) < 9 and time.monotonic() < until:
            time.sleep(0.05)
    named = {one.name: one for one in spans}
    assert {"retrieve", "read", "write", "check", "question", "POST /api/v1/ask"} <= set(named)
    root, question = named["POST /api/v1/ask"], named["question"]
    assert root.trace_id.hex() == trace and root.parent_span_id.hex() == "b7ad6b7169203331"
    assert question.parent_span_id == root.span_id
    for name in ("retrieve", "read", "write", "check"):
        part = named[name]
        assert part.parent_span_id == question.span_id and part.trace_id == root.trace_id
        assert question.start_time_unix_nano <= part.start_time_unix_nano
        assert part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= question.end_time_unix_nano
    said = "".join(str(one) for one in spans)
    for word in ("toll", "bridge", "crowns", "Ada", "owner"):
        assert word not in said, word
    assert 'string_value: "answered"' in said and 'string_value: "papers"' in said


def test_nothing_is_sent_unless_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (address, spans):
        # OpenTelemetry's own variables do not turn it on.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        with serving(tmp_path) as made:
            ask(made)
        time.sleep(0.2)
    assert spans == []


def test_a_collector_that_is_gone_harms_nothing(tmp_path: Path) -> None:
    model = Several("nine crowns", "The toll of the old bridge is nine crowns.")
    began = time.monotonic()
    with serving(tmp_path, model=model, otlp_endpoint="http://127.0.0.1:1") as made:
        ask(made)
    assert time.monotonic() - began < 15
