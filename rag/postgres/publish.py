"""One publication: what is staged becomes live, what it replaces and what is gone goes.

Within one transaction. Publications wait for one another at the collection's row, and what they
publish is locked against being staged anew; readers are kept from nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rag.postgres.form import handle, held
from rag.postgres.session import Session
from rag.stored import Move

__all__ = ["delete", "publish"]

FEW_DEAD, DEAD_SHARE = 1000, 0.2  # postings of chunks that are gone, before all are made anew
_DOCUMENTS_A_ROW = 1_000_000  # of words made anew: a value holds a gigabyte at most

_TOTALS = (
    "SELECT count(*) AS documents, coalesce(sum(chunks), 0) AS chunks, "
    "coalesce(sum(tokens), 0) AS tokens FROM footnote.documents "
    "WHERE collection = {k} AND key = ANY(%s)"
)


def publish(
    session: Session, run: str, ids: Sequence[str], removed: Sequence[str], moved: Sequence[Move]
) -> int:
    """Make live what `run` staged of `ids`; returns the new generation."""
    [(generation,)] = session.rows(
        "SELECT generation + 1 FROM footnote.collections WHERE key = {k} FOR UPDATE"
    )
    added = session.rows(
        "SELECT id, key FROM footnote.documents WHERE collection = {k} AND live = 0 AND run = %s "
        "AND handle = ANY(%b) ORDER BY key FOR UPDATE",
        (run, [handle(one) for one in dict.fromkeys(ids)]),
    )
    moves = _set_aside(session, moved)
    names = [*map(handle, removed), *(handle(one.id) for one in moves.values())]
    keys = [key for _, key in added]
    gone = _live(session, [*names, *_handles(session, keys)])
    _count(session, generation, keys, gone)
    delete(session, "key = ANY(%s)", (gone,))
    _rename(session, moves)
    session.run(
        "UPDATE footnote.documents SET live = 1, added = CASE added WHEN '' THEN %s ELSE added END "
        "WHERE collection = {k} AND key = ANY(%s)",
        (datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), keys),
    )
    _tidy(session)
    return int(generation)


def delete(session: Session, condition: str, parameters: Sequence[Any]) -> None:
    """Delete documents with their chunks."""
    rows = session.rows(
        f"DELETE FROM footnote.documents WHERE collection = {{k}} AND {condition} RETURNING key",
        parameters,
    )
    session.run(
        "DELETE FROM footnote.chunks WHERE collection = {k} AND document = ANY(%s)",
        ([key for (key,) in rows],),
    )


def _set_aside(session: Session, moved: Sequence[Move]) -> dict[int, Move]:
    """Take moved documents out of the way (live = -n), so that files may swap their names.

    Those that there still are, by n.
    """
    if not moved:
        return {}
    session.run_many(
        "UPDATE footnote.documents SET live = %s WHERE collection = {k} AND live = 1 AND handle = %s",
        [(-n, handle(one.old)) for n, one in enumerate(moved, 1)],
    )
    rows = session.rows(
        "SELECT -live FROM footnote.documents WHERE collection = {k} AND live < 0 ORDER BY live DESC"
    )
    return {n: moved[n - 1] for (n,) in rows}


def _rename(session: Session, moves: dict[int, Move]) -> None:
    if moves:
        session.run_many(
            "UPDATE footnote.documents SET live = 1, id = %s, handle = %s, source = %s, path = %s, "
            "stamp = %s, title = %s WHERE collection = {k} AND live = %s",
            [
                (
                    *(held(one.id), handle(one.id), held(one.source), held(one.path)),
                    *(held(one.stamp), held(one.title), -n),
                )
                for n, one in moves.items()
            ],
        )


def _handles(session: Session, keys: list[int]) -> list[bytes]:
    rows = session.rows(
        "SELECT handle FROM footnote.documents WHERE collection = {k} AND key = ANY(%s)", (keys,)
    )
    return [one for (one,) in rows]


def _live(session: Session, handles: Iterable[bytes]) -> list[int]:
    rows = session.rows(
        "SELECT key FROM footnote.documents WHERE collection = {k} AND live = 1 "
        "AND handle = ANY(%b)",
        (list(dict.fromkeys(handles)),),
    )
    return [key for (key,) in rows]


def _count(session: Session, generation: int, added: list[int], gone: list[int]) -> None:
    """Add the postings of what comes, take what goes from the counts, and count everything."""
    session.run(
        "INSERT INTO footnote.words (collection, term, part, passages, postings) "
        "SELECT {k}, term, %s, sum(sign * octet_length(posting) / 8), "
        "string_agg(CASE sign WHEN 1 THEN posting ELSE '' END, ''::bytea ORDER BY key) "
        "FROM (SELECT key, terms, postings, CASE WHEN key = ANY(%s) THEN 1 ELSE -1 END AS sign "
        "FROM footnote.documents WHERE collection = {k} AND key = ANY(%s)) d, "
        "unnest(d.terms, d.postings) AS one (term, posting) GROUP BY term",
        (generation, added, [*added, *gone]),
    )
    session.run(
        "UPDATE footnote.collections c SET generation = %s, edition = %s, "
        "documents = c.documents + came.documents - went.documents, "
        "chunks = c.chunks + came.chunks - went.chunks, "
        "tokens = c.tokens + came.tokens - went.tokens, dead = c.dead + went.chunks "
        f"FROM ({_TOTALS}) came, ({_TOTALS}) went WHERE c.key = {{k}}",
        (generation, secrets.token_hex(8), added, gone),
    )
    session.changed()


def _tidy(session: Session) -> None:
    """Make the rows of words anew where a fifth of what they hold is gone."""
    state = session.state
    if state.dead <= max(FEW_DEAD, state.chunks * DEAD_SHARE):
        return
    session.run("DELETE FROM footnote.words WHERE collection = {k}")
    session.run(
        "INSERT INTO footnote.words (collection, term, part, passages, postings) "
        "SELECT {k}, term, -1 - key / %s, sum(octet_length(posting) / 8), "
        "string_agg(posting, ''::bytea ORDER BY key) FROM footnote.documents d, "
        "unnest(d.terms, d.postings) AS one (term, posting) "
        "WHERE d.collection = {k} AND d.live = 1 GROUP BY 2, 3",
        (_DOCUMENTS_A_ROW,),
    )
    session.run("UPDATE footnote.collections SET dead = 0 WHERE key = {k}")
    session.changed()
