"""Databases of earlier schemas, brought up to date without reading or embedding anything again.

Each migration leads from one schema to the next, and all that are due run in one transaction: a killed
one leaves the old schema. They run for whoever may write (`footnote upgrade`, `footnote index`), never
for a reader. A migration is never changed once it is out, and uses nothing of what may change later:
neither the tables nor the functions of `rag.store`.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from rag.database import Database
from rag.errors import CollectionError
from rag.lock import writing

__all__ = ["MIGRATIONS", "SCHEMA", "Step", "schema_of", "upgrade"]

Step = Callable[[int, int], None]
"""Called with (documents done, documents to do)."""

_BLOCK = 500  # documents between two calls of a `Step`


def upgrade(path: Path, progress: Step = lambda done, of: None) -> int:
    """Bring the database `<indexes>/<name>/collection.db` up to date; returns the schema that it had.

    Raises:
        CollectionError: it is damaged, of a later version, or another process writes to it. It is as
            it was.
    """
    database = _Old(path)
    try:
        if not database.has_table("meta"):  # another process is about to make it
            return SCHEMA
        found = schema_of(database)
        if found == SCHEMA:  # looked at without a lock: nearly every one is
            return found
        with writing(path.parent.name, path.parent.parent), database.transaction():
            for schema in range(schema_of(database), SCHEMA):
                MIGRATIONS[schema](database, progress)
                database.set_meta("schema", str(schema + 1))
        return found
    finally:
        database.close()


def schema_of(database: Database) -> int:
    """The schema that a database has; `SCHEMA` or an earlier one.

    Raises:
        CollectionError: it is of a later version, or no collection.
    """
    found = database.meta("schema")
    if found is None or not found.isdecimal() or int(found) < 1:
        raise CollectionError(
            f"{database.path}: is no collection (schema {found}): index its folders again with "
            "--rebuild"
        )
    if int(found) > SCHEMA:
        raise CollectionError(
            f"{database.path}: was written by a later version (schema {found}, not {SCHEMA}): "
            "install that version, or index its folders again with --rebuild"
        )
    return int(found)


class _Old(Database):
    """A database of whatever schema."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with self._failures():
                self._set_up()
        except BaseException:
            self.close()
            raise


def _pages_of_sentences(database: Database, progress: Step) -> None:
    """1 -> 2: a sentence's span is followed by the page that it begins on; no text holds NUL."""
    keys = [key for (key,) in database.rows("SELECT key FROM documents ORDER BY key")]
    for done, key in enumerate(keys):
        if done % _BLOCK == 0:
            progress(done, len(keys))
        [(marks, text)] = database.rows("SELECT marks, text FROM documents WHERE key = ?", (key,))
        pages = [mark for mark in json.loads(marks) if mark[1] in ("page", "slide")]
        starts = [mark[0] for mark in pages]
        chunks = database.rows("SELECT key, start, spans FROM chunks WHERE document = ?", (key,))
        rows = []
        for chunk, start, spans in chunks:
            placed = []
            for begin, end, *_ in json.loads(spans):
                at = bisect_right(starts, start + begin) - 1
                placed.append([begin, end, pages[at][2] if at >= 0 else None])
            rows.append((json.dumps(placed), chunk))
        database.run_many("UPDATE chunks SET spans = ? WHERE key = ?", rows)
        if "\0" in text:
            _without_nul(database, key, text.replace("\0", "\U0010ffff"))
    progress(len(keys), len(keys))


def _without_nul(database: Database, key: int, text: str) -> None:
    """Store a text anew, and the words of its chunks, which had ended at the first NUL."""
    database.run("UPDATE documents SET text = ? WHERE key = ?", (text, key))
    chunks = database.rows("SELECT key, start, end FROM chunks WHERE document = ?", (key,))
    database.run_many(
        "UPDATE words SET text = ? WHERE rowid = ?",
        [(text[start:end], chunk) for chunk, start, end in chunks],
    )


def _lists_and_log(database: Database, progress: Step) -> None:
    """2 -> 3: what a list of documents shows is an index; there is a log of changes.

    Either had come with the first change by a later version already, in part of the databases.
    """
    kinds = {"added": "TEXT NOT NULL DEFAULT ''", "size": "INTEGER", "pages": "INTEGER"}
    present = {name for (name,) in database.rows("SELECT name FROM pragma_table_info('documents')")}
    for name, kind in kinds.items():
        if name not in present:
            database.run(f"ALTER TABLE documents ADD COLUMN {name} {kind}")
    missing = database.rows("SELECT key FROM documents WHERE size IS NULL ORDER BY key")
    for done, (key,) in enumerate(missing):
        if done % _BLOCK == 0:
            progress(done, len(missing))
        [(size, marks)] = database.rows(
            "SELECT length(text), marks FROM documents WHERE key = ?", (key,)
        )
        numbers = [n for _, kind, n, _ in json.loads(marks) if kind in ("page", "slide", "sheet")]
        database.run(
            "UPDATE documents SET size = ?, pages = ? WHERE key = ?",
            (size, max(numbers, default=None), key),
        )
    database.run(
        "CREATE INDEX IF NOT EXISTS listed ON documents (live, id, source, path, hash, stamp, title, "
        "date, media_type, size, pages, added)"
    )
    database.run(
        "CREATE TABLE IF NOT EXISTS history (generation INTEGER PRIMARY KEY, edition TEXT NOT NULL, "
        "documents INTEGER NOT NULL, chunks INTEGER NOT NULL)"
    )
    database.run(
        "CREATE TABLE IF NOT EXISTS changes (generation INTEGER NOT NULL, key INTEGER NOT NULL, "
        "gone INTEGER NOT NULL, PRIMARY KEY (generation, key, gone)) WITHOUT ROWID"
    )
    progress(len(missing), len(missing))


MIGRATIONS: dict[int, Callable[[Database, Step], None]] = {
    1: _pages_of_sentences,
    2: _lists_and_log,
}
"""By the schema that each leads from."""

SCHEMA = 1 + max(MIGRATIONS)
"""The one that this version writes and reads."""
