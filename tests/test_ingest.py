"""Batches of documents, reading ahead of them, what is told meanwhile, and the indexing benchmark."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from fakes import HashEmbedder

from eval.bench.ingest import StopWatch, measure, write_pdf
from rag.collection import Collection
from rag.ingest import batches, given_job
from rag.read import read_file, read_files
from rag.records import Document, Mark
from rag.settings import Settings

Make = Callable[[str, dict[str, str]], Path]


def test_a_batch_holds_64_documents_or_200_000_characters() -> None:
    small = [given_job(Document(f"s{n}", "x"), "given") for n in range(65)]
    assert [len(batch) for batch in batches(small)] == [64, 1]
    large = [given_job(Document(f"l{n}", "x" * 90_000), "given") for n in range(5)]
    assert [len(batch) for batch in batches(large)] == [3, 2]
    assert list(batches([])) == []


def test_pages_are_marked_or_estimated() -> None:
    marks = (Mark(0, "page", 1), Mark(5, "heading", 1, "h"), Mark(9, "page", 2))
    assert given_job(Document("a", "x" * 9000, marks=marks), "given").pages == 2
    assert given_job(Document("b", ""), "given").pages == 1
    assert given_job(Document("c", "x" * 7000), "given").pages == 3


def test_files_are_read_ahead_in_order_but_not_all(tmp_path: Path) -> None:
    asked: list[int] = []

    def items() -> object:
        for n in range(100):
            (tmp_path / f"{n}.txt").write_text(f"file {n}")
            asked.append(n)
            yield str(n), tmp_path / f"{n}.txt"

    outcomes = read_files(items(), ahead=20)  # type: ignore[arg-type]
    first = next(outcomes)
    assert (first[0], len(asked)) == ("0", 21)
    assert [one[0] for one in outcomes] == [str(n) for n in range(1, 100)]


def test_large_files_are_not_read_far_ahead(tmp_path: Path) -> None:
    for n in range(6):
        (tmp_path / f"{n}.txt").write_text("word " * 3_000_000)  # 15 MB
    asked: list[int] = []
    items = ((asked.append(n) or str(n), tmp_path / f"{n}.txt") for n in range(6))
    with_ahead = read_files(items, ahead=6)
    next(with_ahead)
    assert asked == [0, 1]
    with_ahead.close()


def test_progress_moves_within_a_document(settings: Settings) -> None:
    text = "\n\n".join(f"Paragraph {n} says a little of this and of that." for n in range(40))
    told: list[tuple[float, int, float]] = []
    done: list[tuple[int, int]] = []
    changed = settings.model_copy(update={"chunk_tokens": 32})
    with Collection.open("papers", changed, create=True, embedder=HashEmbedder()) as opened:
        opened.put(
            [Document("d", text)],
            "given",
            lambda *now: done.append(now),
            lambda *now: told.append(now),
        )
        chunks = opened.counts()[1]
    assert chunks > 5
    assert told == [((n + 1) / chunks, 1, (n + 1) / chunks) for n in range(chunks)]
    assert done == [(1, 1)]


def test_nothing_reads_on_when_indexing_is_stopped(settings: Settings, make_folder: Make) -> None:
    zoo = make_folder("zoo", {f"{n}.txt": f"File number {n}." for n in range(150)})

    def stop(done: float, total: int, pages: float) -> None:
        raise KeyboardInterrupt

    threads = threading.active_count()
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as opened:
        with pytest.raises(KeyboardInterrupt):
            opened.update(zoo, within=stop)
        until = time.monotonic() + 10
        while threading.active_count() > threads and time.monotonic() < until:
            time.sleep(0.01)  # the thread that handed out the files sees only then that it is over
        assert threading.active_count() <= threads
        commands = [" ".join(one.cmdline()) for one in psutil.Process().children()]
        assert not [one for one in commands if "rag.read.worker" in one]
        assert opened.update(zoo).added == 150


def test_failed_files_are_reported_in_order_whoever_reads_them(
    settings: Settings, make_folder: Make
) -> None:
    files = {f"{n:03}.{'pdf' if n % 7 == 3 else 'txt'}": f"File {n}." for n in range(80)}
    zoo = make_folder("zoo", files)
    changed = settings.model_copy(update={"threads": 3})
    with Collection.open("papers", changed, create=True, embedder=HashEmbedder()) as opened:
        report = opened.update(zoo)
    failed = [Path(one["path"]).name for one in report.failed]
    assert failed == [name for name in files if name.endswith("pdf")]
    assert report.added == 80 - len(failed)


def test_a_drawn_pdf_file_is_read_again(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf", [f"word{n}" for n in range(700)], 2)
    document = read_file(tmp_path / "a.pdf", "a.pdf")
    assert [mark.number for mark in document.marks if mark.kind == "page"] == [1, 2]
    assert document.text.split() == [f"word{n}" for n in range(600)]


def test_a_stop_watch_counts_the_tokens_that_are_read() -> None:
    watch = StopWatch(HashEmbedder(max_tokens=5))
    watch.embed(["one two", "one two three four"], ["head", ""])
    # "head\none two" takes 3 tokens and two special ones; the other is cut at five.
    assert watch.tokens == 10
    assert watch.seconds > 0


@pytest.mark.slow
def test_the_benchmark_measures_everything() -> None:
    row = measure(None, 3, pages=3, files=70, embedder=HashEmbedder())
    assert (row["documents"], row["pdf_pages"], row["files"]) == (3, 3, 70)
    assert all(value >= 0 for value in row.values())
    assert row["pdf_s"] >= row["pdf_embed_s"]
