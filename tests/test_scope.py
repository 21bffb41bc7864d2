"""Which documents a scope admits, and that the best of those are found."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import numpy as np
import pytest
from fakes import DIMENSIONS, HashEmbedder, bag_vector
from hypothesis import given
from hypothesis import strategies as st

from rag.collection import Collection
from rag.errors import InputError
from rag.read.formats import FORMATS
from rag.records import Document
from rag.scope import KINDS, Scope, kind_of
from rag.settings import Settings


@pytest.mark.parametrize(
    ("media_type", "name", "kind"),
    [
        *((FORMATS[f".{kind}"].media_type, f"x.{kind}", kind) for kind in KINDS),
        ("text/html", "page.htm", "html"),
        ("text/tab-separated-values", "t.tsv", "csv"),
        ("application/pdf", "no ending", "pdf"),
        ("application/pdf", "odd.txt", "pdf"),
        ("text/plain", "given.MD", "md"),
        ("text/plain", "table.tsv", "csv"),
        ("text/plain", "notes.text", "txt"),
        ("text/plain", "notes.2024", "txt"),
        ("application/x-unheard-of", "", "txt"),
    ],
)
def test_kind_of(media_type: str, name: str, kind: str) -> None:
    assert kind_of(media_type, name) == kind


def test_the_kinds_are_these() -> None:
    assert KINDS == ("csv", "docx", "eml", "html", "md", "pdf", "pptx", "txt", "xlsx")


def dated(when: str | None) -> Document:
    return Document("d.txt", "text", date=when)


@pytest.mark.parametrize(
    ("when", "after", "before", "admitted"),
    [
        ("2024-05-06", "2024-05-06", "2024-05-06", True),
        ("2024-05-06", "2024-05-07", "", False),
        ("2024-05-06", "", "2024-05-05", False),
        ("2024-05-06", "2024-05", "2024-05", True),
        ("2024-05-06", "2024", "2024", True),
        ("2024-05-06", "2025", "", False),
        ("2024-02-29", "", "2024-02", True),
        ("2024", "2024-03", "", True),  # nothing says that it is older
        ("2024", "", "2024-03", True),
        ("2024", "2025-01", "", False),
        ("2024-05", "2024-05-20", "2024-05-21", True),
        ("2024-05", "2024-06-01", "", False),
        ("2024-05-06T07:08:09", "2024-05-06", "2024-05-06", True),
        (None, "2024", "", False),
        (None, "", "2024", False),
        ("", "", "2024", False),
        ("May 2024", "2024", "", False),
        (None, "", "", True),
    ],
)
def test_dates(when: str | None, after: str, before: str, admitted: bool) -> None:
    assert Scope(after=after, before=before).admits(dated(when)) is admitted


DAYS = st.dates(date(2023, 11, 1), date(2025, 2, 28)).map(str)
PERIODS = st.tuples(DAYS, st.sampled_from([4, 7, 10])).map(lambda one: one[0][: one[1]])


def days_of(period: str) -> set[date]:
    year, month, day = (int(part) for part in (period + "-0-0-0").split("-")[:3])
    months = [month] if month else range(1, 13)
    return {
        date(year, m, d)
        for m in months
        for d in ([day] if day else range(1, monthrange(year, m)[1] + 1))
    }


@given(PERIODS, PERIODS, PERIODS)
def test_a_document_is_admitted_where_the_periods_share_a_day(
    when: str, after: str, before: str
) -> None:
    first, last = min(days_of(after)), max(days_of(before))
    if first > last:
        with pytest.raises(InputError, match="swap"):
            Scope(after=after, before=before)
        return
    asked = {first + timedelta(n) for n in range((last - first).days + 1)}
    assert Scope(after=after, before=before).admits(dated(when)) == bool(asked & days_of(when))


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "24",
        "2024-13",
        "2024-02-30",
        "2024-5",
        "2024-",
        "0000",
        " 2024",
        "2024\n",
        "２０２４",
    ],
)
def test_what_is_no_date(text: str) -> None:
    for named in ({"after": text}, {"before": text}):
        with pytest.raises(InputError, match="is no date: write YYYY-MM-DD, YYYY-MM or YYYY"):
            Scope(**named)


def test_what_is_no_kind() -> None:
    with pytest.raises(InputError, match="'word' is no type of document: use one of csv, docx"):
        Scope(kinds=frozenset({"pdf", "word"}))


def test_an_empty_scope_is_false_and_admits_everything() -> None:
    assert not Scope()
    assert (
        Scope(after="2024") and Scope(documents=frozenset("a")) and Scope(kinds=frozenset(["md"]))
    )
    assert Scope().choose([dated(None)], "the collection") == [dated(None)]
    assert Scope().choose([], "the collection") == []


# Searching within a scope

WORDS = "ant bee cat dog eel fox gnu hen ibis jay".split()
NAMES = [f"d{n}.{'txt' if n % 3 else 'md'}" for n in range(60)]


def _animals() -> list[Document]:
    dice = np.random.default_rng(7)
    return [
        Document(name, f"Note {n}: {' '.join(dice.choice(WORDS, 6))}.", date=f"20{n:02}-01-01")
        for n, name in enumerate(NAMES)
    ]


@pytest.fixture(scope="module")
def animals() -> Collection:
    """Sixty documents of one chunk each, ranked by cosine alone; few candidates are looked at."""
    settings = Settings(candidates=6, weight_dense=1, weight_words=0, weight_sentence=0)
    return Collection.temporary(_animals(), settings, embedder=HashEmbedder())


QUESTIONS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
SOME = st.sets(st.sampled_from(NAMES), min_size=1)


@given(SOME, QUESTIONS, st.integers(1, 6))
def test_the_k_best_within_the_scope_are_found(
    animals: Collection, names: set[str], question: str, k: int
) -> None:
    vector = bag_vector(question)
    cosines = [float(bag_vector(one.text) @ vector) for one in _animals() if one.id in names]
    hits = animals.search(question, k, Scope(documents=frozenset(names)))
    assert {hit.document for hit in hits} <= names
    best = sorted(cosines, reverse=True)[: len(hits)]
    assert len(hits) == min(k, len(names))
    # Vectors are stored as float16.
    assert [hit.why["dense"] for hit in hits] == pytest.approx(best, abs=2e-3)


@given(SOME, QUESTIONS, st.integers(1, 6))
def test_both_searches_agree_with_looking_at_everything(
    animals: Collection, names: set[str], question: str, limit: int
) -> None:
    store, index = animals._store, animals._current.get()
    within = store.chunk_keys(names)
    allowed = set(within.tolist())
    every = store.search_words(question, 1000)
    expected = [one for one in every if one[0] in allowed][:limit]
    assert store.search_words(question, limit, within) == expected
    keys, vectors = store.vectors(DIMENSIONS)
    scores = {
        int(key): float(score)
        for key, score in zip(keys, vectors @ bag_vector(question), strict=True)
        if key in allowed
    }
    found = index.search(bag_vector(question), limit, within)
    assert {key for key, _ in found} <= allowed
    best = sorted(scores.values(), reverse=True)[:limit]
    assert [score for _, score in found] == pytest.approx(best, abs=1e-5)


def test_all_fields_hold_at_once(animals: Collection) -> None:
    scope = Scope(frozenset(NAMES[:9]), frozenset({"md"}), "2003", "2006")
    assert [one.id for one in animals.documents(scope)] == ["d3.md", "d6.md"]
    assert {hit.document for hit in animals.search("cat", 6, scope)} == {"d3.md", "d6.md"}


def test_an_unknown_document_is_named_with_the_nearest(animals: Collection) -> None:
    with pytest.raises(InputError, match=r"no document 'd3\.mdx' in the collection.*'d3\.md'$"):
        animals.search("cat", 3, Scope(documents=frozenset({"d1.txt", "d3.mdx"})))
    with (
        Collection.temporary([], animals.settings, embedder=HashEmbedder()) as empty,
        pytest.raises(InputError, match="'a' in the collection, which is empty"),
    ):
        empty.search("cat", 3, Scope(documents=frozenset("a")))


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (Scope(kinds=frozenset({"pdf", "csv"})), "of type csv or pdf"),
        (Scope(frozenset({"d1.txt"}), frozenset({"md"})), "one of those named and of type md"),
        (Scope(after="2070", before="2071-02"), "dated 2070 or later and dated 2071-02 or earlier"),
    ],
)
def test_a_scope_that_admits_nothing_says_so(animals: Collection, scope: Scope, said: str) -> None:
    with pytest.raises(
        InputError, match=f"^no document in the collection is {said}: drop or widen"
    ):
        animals.search("cat", 3, scope)


def test_a_search_within_a_scope_leaves_others_as_they_were(animals: Collection) -> None:
    before = animals.search("cat dog", 6)
    animals.search("cat dog", 6, Scope(documents=frozenset({"d1.txt"})))
    assert animals.search("cat dog", 6) == before == animals.search("cat dog", 6, Scope())
