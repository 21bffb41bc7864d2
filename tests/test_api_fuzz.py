"""The service under what no person would send: cases made of its own OpenAPI document, and files.

FOOTNOTE_CASES_N sets how many cases schemathesis makes at least (400 by default), FOOTNOTE_FUZZ_N how
many files are uploaded (80 by default).
"""

from __future__ import annotations

import logging
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder
from serving import SAID, TEXT, Served, Several, serving

from rag.collection import Collection
from rag.read.formats import FORMATS

CASES = int(os.environ.get("FOOTNOTE_CASES_N", "400"))
UPLOADS = int(os.environ.get("FOOTNOTE_FUZZ_N", "80"))
SEEDS = Path(__file__).parent.parent / "seeds" / "documents"

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
PEOPLE: Any = {"anna": ("admin", []), "olga": ("editor", ["sales"])}
SECRETS = (b"vault-of-zebra", b"Xenia", b"7310944862")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    collections = {
        "papers": {"toll.txt": TEXT},
        "vault-of-zebra": {"payroll.txt": "The salary of Xenia Quorum is 7310944862 crowns."},
    }
    settings: Any = {"questions_waiting": 100, "uploads_mb": 100_000, "max_file_mb": 1}
    model = Several("nine crowns", SAID)
    with serving(tmp_path, model=model, people=PEOPLE, collections=collections, **settings) as made:
        made.services.people.restrict("vault-of-zebra", ["hr"])
        yield made


def quiet(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What went wrong inside, as the log has it."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_case_of_the_contract_breaks_it(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = f"{served.address}/api/openapi.json"
    key = served.key("olga")
    with served.client("olga") as http:
        found = http.get("/api/openapi.json").json()
    operations = sum(len(methods) for methods in found["paths"].values())
    words = [
        *(str(Path(sys.executable).with_name("st")), "run", document),
        *("--header", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(max(1, CASES // operations)), "--seed", "7", "--workers", "1"),
        *("--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"),
        *("--report", "har", "--report-har-path", str(tmp_path / "cases.har")),
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    counted = re.search(r"(\d+) generated", done.stdout)
    cases = int(counted[1]) if counted else 0
    assert cases >= CASES / 2, done.stdout[-3000:]
    sent = (tmp_path / "cases.har").read_bytes()
    assert b"Traceback" not in sent
    for secret in SECRETS:
        assert secret not in sent, "another's"
    assert quiet(caplog) == []
    print(f"\n{cases} cases of {operations} operations: no 5xx, nothing outside the contract")


def files(count: int) -> Iterator[tuple[str, bytes]]:
    """Real files with bytes changed, cut, doubled or swapped, under names that are a burden."""
    dice = random.Random(11)
    whole = [one.read_bytes()[:200_000] for one in sorted(SEEDS.rglob("*")) if one.is_file()]
    endings = [*sorted(FORMATS), ".exe", "", ".TXT", ".txt.exe"]
    odd = ["../../x", "a" * 300, "con", "é\u202etxt", "a\0b", "\U0001f600", "%2e%2e", ".x", "  "]
    for number in range(count):
        data = bytearray(dice.choice(whole) if dice.random() < 0.8 else dice.randbytes(500))
        for _ in range(dice.randrange(1, 30)):
            at = dice.randrange(len(data) + 1)
            kind = dice.random()
            if kind < 0.5:
                data[at : at + 1] = dice.randbytes(1)
            elif kind < 0.7:
                del data[at : at + dice.randrange(2000)]
            else:
                data[at:at] = data[: dice.randrange(500)]
        stem = dice.choice(odd) if dice.random() < 0.3 else f"file{number % 50}"
        yield stem + dice.choice(endings), bytes(data[:300_000])


@pytest.mark.timeout(7200)
def test_no_file_breaks_the_service(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    statuses: dict[int, int] = {}
    with served.client("olga") as http:
        http.post("/api/v1/collections", json={"name": "heap"})
        path = "/api/v1/collections/heap/documents"
        for name, content in files(UPLOADS):
            answer = http.post(path, params={"name": name}, content=content)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code in (202, 400, 409, 413, 422), (name, answer.text)
            assert "Traceback" not in answer.text
        for task in served.services.library.tasks("heap"):
            assert task.ended.wait(600)
            assert "inside" not in task.error, task.error
        listed = http.get(path, params={"sort": "title"}).json()
        assert listed["total"] > 10
        assert all("Traceback" not in one["reason"] for one in listed["documents"])
        assert {one["status"] for one in listed["documents"]} <= {"ready", "failed"}
        assert http.get("/ready").status_code == 200
    settings = served.services.settings
    with Collection.open("heap", settings, embedder=HashEmbedder()) as heap:
        for one in heap.documents():
            assert heap.document(one.id).text
    assert quiet(caplog) == []
    print(f"\n{UPLOADS} files: {statuses}, {listed['total']} kept")
