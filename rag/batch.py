"""Questions by the file: JSON lines in, JSON lines out, one model load, resumed by id.

A line is `{"id", "question", "history"?, "documents"?}`; with `documents` only those are searched.
Every line is checked before the first is answered. Lines that the output already holds are kept; a
last line that a killed run left half written is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from rag.assistant import Assistant
from rag.collection import Collection, IndexReport, Progress
from rag.errors import InputError
from rag.records import Document, Hit
from rag.settings import Settings

__all__ = ["BatchLine", "ask", "hit_fields", "merge_reports", "read_lines", "search"]

Bar = Callable[[str], AbstractContextManager[Progress]]
_OPENING = b'{"id": '  # of every line of output
_HIT_FIELDS = ("rank", "score", "document", "title", "page", "start", "end", "text", "why")


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A question of a batch. `documents` is None where the collection is to be searched."""

    id: str
    question: str
    history: tuple[dict[str, str], ...] = ()
    documents: tuple[Document, ...] | None = None


def ask(source: Path, out: Path, settings: Settings, named: bool, bar: Bar) -> None:
    """Answer every line of `source` into `out`. `named`: a collection was asked for by name.

    Raises:
        InputError: a line is not what it should be. Nothing has been answered.
    """
    lines = _lines(source, out)
    collection = _collection(lines, settings, named)
    assistant = Assistant(collection, settings)

    def one(line: BatchLine) -> dict[str, Any]:
        answer = assistant.ask(line.question, history=line.history, documents=line.documents)
        return {"id": line.id, **answer.to_dict()}

    _run(lines, out, one, bar, "answering")


def search(source: Path, out: Path, settings: Settings, k: int, named: bool, bar: Bar) -> None:
    """Write the k best passages for every line of `source` to `out`.

    Raises:
        InputError: a line is not what it should be.
    """
    lines = _lines(source, out)
    collection = _collection(lines, settings, named)
    given = Collection.temporary([], settings, embedder=collection.embedder if collection else None)

    def one(line: BatchLine) -> dict[str, Any]:
        where = collection
        if line.documents is not None:
            given.put(line.documents, "given")
            where = given
        assert where is not None
        hits = where.search(line.question, k)
        return {"id": line.id, "question": line.question, "hits": [hit_fields(hit) for hit in hits]}

    _run(lines, out, one, bar, "searching")


def _lines(source: Path, out: Path) -> list[BatchLine]:
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out}: is the file of the questions: name another --out")
    return read_lines(source)


def _collection(lines: list[BatchLine], settings: Settings, named: bool) -> Collection | None:
    """The collection, unless every line brings its own documents."""
    if lines and all(line.documents is not None for line in lines):
        return None
    return Collection.open(settings.collection, settings)


def _run(
    lines: list[BatchLine],
    out: Path,
    one: Callable[[BatchLine], dict[str, Any]],
    bar: Bar,
    title: str,
) -> None:
    with _resumed(out) as (file, done), bar(title) as progress:
        finished = sum(line.id in done for line in lines)
        progress(finished, len(lines))
        for line in lines:
            if line.id in done:
                continue
            try:
                record = one(line)
            except InputError as error:
                raise InputError(f"line with id '{line.id}': {error}") from None
            _write_line(file, record, out)
            finished += 1
            progress(finished, len(lines))


def _write_line(file: IO[str], record: dict[str, Any], out: Path) -> None:
    try:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"{out}: can't be written ({error.strerror}): free some space, then run the same command "
            "again to go on from here"
        ) from None


class _resumed:
    """The output file, opened behind its last whole line, and the ids that it holds."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._file: IO[str] | None = None

    def __enter__(self) -> tuple[IO[str], set[str]]:
        done: set[str] = set()
        try:
            data = self._out.read_bytes() if self._out.exists() else b""
            whole = data.rfind(b"\n") + 1
            try:
                done |= {str(json.loads(line)["id"]) for line in data[:whole].splitlines()}
            except (ValueError, KeyError, TypeError):
                raise self._foreign() from None
            if not (data[whole:].startswith(_OPENING) or _OPENING.startswith(data[whole:])):
                raise self._foreign()
            self._out.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._out.open("a", encoding="utf-8")
            self._file.truncate(whole)
        except OSError as error:
            raise InputError(
                f"{self._out}: can't be written ({error.strerror}): name another --out"
            ) from None
        return self._file, done

    def __exit__(self, *exception: object) -> None:
        if self._file:
            with contextlib.suppress(OSError):  # what could not be written was said already
                self._file.close()

    def _foreign(self) -> InputError:
        return InputError(f"{self._out}: is no earlier output of a batch: name another --out")


def read_lines(path: Path) -> list[BatchLine]:
    """Read and check a batch file.

    Raises:
        InputError: the file can't be read, or a line is wrong; it is named by number and field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8: save it as UTF-8") from None
    lines: list[BatchLine] = []
    seen: set[str] = set()
    # Not splitlines(): U+2028 and its like may stand inside a JSON string.
    for number, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        line = _line(raw, f"{path}, line {number}")
        if line.id in seen:
            raise InputError(f"{path}, line {number}: id '{line.id}' stands twice: make ids unique")
        seen.add(line.id)
        lines.append(line)
    return lines


def _line(raw: str, where: str) -> BatchLine:
    try:
        record = json.loads(raw)
        if "\\ud" in raw.lower():  # perhaps half of a surrogate pair, which UTF-8 can't hold
            record = json.loads(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: is not a JSON object")
    unknown = set(record) - {"id", "question", "history", "documents"}
    if unknown:
        raise InputError(f"{where}: unknown field '{min(unknown)}'")
    if not isinstance(record.get("id"), str | int) or not isinstance(record.get("question"), str):
        raise InputError(f"{where}: needs 'id' and 'question'")
    if not record["question"].strip():
        raise InputError(f"{where}: 'question' is empty")
    history = tuple(_turns(record.get("history") or [], where))
    documents = record.get("documents")
    given = None if documents is None else tuple(_documents(documents, where))
    return BatchLine(str(record["id"]), record["question"], history, given)


def _turns(turns: Any, where: str) -> Iterator[dict[str, str]]:
    if not isinstance(turns, list):
        raise InputError(f"{where}: 'history' is not a list")
    for turn in turns:
        fits = isinstance(turn, dict) and isinstance(turn.get("content"), str)
        if not fits or turn.get("role") not in ("user", "assistant"):
            raise InputError(
                f"{where}: a turn of 'history' needs 'role' (user, assistant) and 'content'"
            )
        yield {"role": turn["role"], "content": turn["content"]}


def _documents(documents: Any, where: str) -> Iterator[Document]:
    if not isinstance(documents, list):
        raise InputError(f"{where}: 'documents' is not a list")
    seen: set[str] = set()
    for one in documents:
        if not isinstance(one, dict) or not isinstance(one.get("text"), str) or "id" not in one:
            raise InputError(f"{where}: a document needs 'id' and 'text'")
        name = str(one["id"])
        if name in seen:
            raise InputError(f"{where}: document '{name}' stands twice")
        seen.add(name)
        yield Document(name, one["text"], str(one.get("title") or ""))


def hit_fields(hit: Hit) -> dict[str, Any]:
    """A hit as `search --json` prints it."""
    return {name: getattr(hit, name) for name in _HIT_FIELDS}


def merge_reports(reports: list[IndexReport]) -> dict[str, Any]:
    """Several runs of indexing as one: counts added up, sizes of the collection from the last."""
    total: dict[str, Any] = asdict(reports[0])
    for report in reports[1:]:
        for one in fields(report):
            value = getattr(report, one.name)
            if one.name in ("documents", "chunks"):
                total[one.name] = value
            elif one.name == "changes":
                names = total["changes"].keys() | value.keys()
                total["changes"] = {
                    name: sorted({*total["changes"].get(name, ()), *value.get(name, ())})
                    for name in sorted(names)
                }
            else:
                total[one.name] = total[one.name] + value
    total["seconds"] = round(total["seconds"], 3)
    return total
