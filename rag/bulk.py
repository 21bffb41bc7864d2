"""Bulk ingestion over a Ray cluster: what `Collection.update` reads and embeds, on many machines.

    files ─▶ Reader (a limited reading process each) ─▶ Stager (embedder, connection) ─▶ outcomes

The driver compares folder and store, and publishes; workers only stage, which nobody sees and which
may be done twice. So a lost worker's files are done again by another, and a killed run goes on where
it was. Documents stream from reader to stager: the driver gets a line for each, never a text.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import cluster
from rag.backend import backend, missing
from rag.collection import Progress
from rag.embed import Embedder, load_embedder
from rag.errors import ReadError, SettingsError
from rag.ingest import Job, batches, read_limits, stage_batch
from rag.plan import Found, spelled
from rag.read import Worker
from rag.records import Document, Mark
from rag.settings import Settings, load_settings

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Load", "Reader", "Stager", "bulk_staging", "check_store"]

Load = Callable[[Settings], Embedder]
"""Opens the embedder of a worker; found by its name in the module that it belongs to."""

_FILES = 32  # of one task: what a lost worker loses at most, and what is in flight
_TABLE_BYTES = 8_000_000  # of texts that go from reader to stager at once
_STAGERS_A_READER = 2
_SAMPLE = 20  # files that every node is asked for


def check_store(settings: Settings) -> None:
    """Raises SettingsError where collections are kept in files."""
    if not settings.store:
        raise SettingsError(
            "bulk ingestion needs a database, because several machines can't write to one file: set "
            "'store' to postgresql://…, or use 'footnote index'"
        )


def bulk_staging(
    settings: Settings, workers: int = 0, load: Load = load_embedder
) -> Callable[[list[Found], str, Progress], list[dict[str, str]]]:
    """A `rag.collection.Staging` by workers of the cluster that was joined.

    `workers` is how many embed; 0: as many as there is room for. Every node is examined first.

    Raises (when staging):
        InputError: a node does not see the files, or has no Footnote of this version.
        CollectionError: the database is away. What was staged is taken up by the next run.
        ModelError: a worker has no embedder.
        ClusterError: the cluster, or every worker that got some file, was lost.
    """

    def stage(todo: list[Found], source: str, progress: Progress) -> list[dict[str, str]]:
        if not todo:
            return []
        sample = todo[:: 1 + len(todo) // _SAMPLE]
        cluster.examine([Path(source), *(one.path for one in sample)])
        count = cluster.fitting(workers, settings.threads or 1)
        failed: list[dict[str, str]] = []
        done = 0
        with cluster.failures():
            for outcome in _outcomes(todo, source, settings, count, load):
                done += 1
                if outcome["error"]:
                    failed.append({"path": outcome["path"], "error": outcome["error"]})
                progress(done, len(todo))
        return failed

    return stage


def _outcomes(
    todo: list[Found], source: str, settings: Settings, workers: int, load: Load
) -> Iterator[dict[str, str]]:
    """A path and an error, which may be empty, for each file, as they are done."""
    import ray.data

    ray.data.DataContext.get_current().target_max_block_size = _TABLE_BYTES
    tasks = -(-len(todo) // _FILES)
    stagers = min(workers, tasks)
    pool = ray.data.ActorPoolStrategy
    # A reader waits for its reading process and is given no processor: who stages has them all.
    outcomes = (
        ray.data.from_items([_row(one) for one in todo], override_num_blocks=tasks)
        .map(
            Reader,
            fn_constructor_args=(settings,),
            compute=pool(size=-(-stagers // _STAGERS_A_READER)),
            num_cpus=0,
        )
        .map_batches(
            Stager,
            fn_constructor_args=(settings, source, load),
            compute=pool(size=stagers),
            num_cpus=settings.threads or 1,
            batch_size=None,
            batch_format="pyarrow",
        )
    )
    for table in outcomes.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from table.to_pylist()


class Reader:
    """Reads one file after the other, in a process of its own with limits: files are untrusted."""

    def __init__(self, settings: Settings) -> None:
        self._worker = Worker(read_limits(settings))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with its `document` as JSON, or with the `error`."""
        path = Path(os.fsdecode(row["path"]))
        try:
            document = self._worker.read(path, row["id"])
        except ReadError as error:
            return {**row, "document": "", "error": str(error)}
        return {**row, "document": json.dumps(dataclasses.asdict(document)), "error": ""}


class Stager:
    """Chunks, embeds and stages the documents of a table; embedder and connection are opened once."""

    def __init__(self, settings: Settings, source: str, load: Load) -> None:
        self._settings = settings
        self._source = source
        self._load = load
        self._opened: tuple[Embedder, Any] | None = None

    def __call__(self, table: pyarrow.Table) -> Iterator[pyarrow.Table]:
        """A table of outcomes for every batch that was staged."""
        import pyarrow

        rows = table.to_pylist()
        failed = [_outcome(row, row["error"]) for row in rows if row["error"]]
        if failed:
            yield pyarrow.Table.from_pylist(failed)
        jobs = (_job(row, self._source) for row in rows if not row["error"])
        for batch in batches(jobs):
            with cluster.here():
                embedder, store = self._open()
                stage_batch(batch, store, embedder, self._settings)
            yield pyarrow.Table.from_pylist([{"path": job.path, "error": ""} for job in batch])

    def _open(self) -> tuple[Embedder, Any]:
        """At first use, not when made: what fails here is told as what it is."""
        if self._opened is None:
            # This machine's own cache: everything else is as the driver has it.
            own = {"cache": load_settings().cache, "threads": self._settings.threads or 1}
            self._settings = self._settings.model_copy(update=own)
            name = self._settings.collection
            embedder = self._load(self._settings)
            kept = backend(self._settings)
            opened = kept.open(name, lambda: embedder.dimensions, create=False)
            if opened is None:
                raise missing(name, kept)
            self._opened = embedder, opened[0]
        return self._opened


def _row(found: Found) -> dict[str, Any]:
    # As bytes: a name need not be UTF-8.
    return {**dataclasses.asdict(found), "path": os.fsencode(found.path)}


def _outcome(row: dict[str, Any], error: str) -> dict[str, str]:
    return {"path": spelled(Path(os.fsdecode(row["path"]))), "error": error}


def _job(row: dict[str, Any], source: str) -> Job:
    fields = json.loads(row["document"])
    marks = tuple(Mark(**mark) for mark in fields.pop("marks"))
    path = _outcome(row, "")["path"]
    return Job(Document(**fields, marks=marks), source, path, row["hash"], row["stamp"])
