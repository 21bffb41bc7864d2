"""Metrics against arithmetic worked out by hand, and against independent tools."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import citations, confidence, is_right, measure, retrieval, spans, text
from eval.records import Evidence, Gold, Question, Sample
from rag.records import Answer, AnswerSentence, Citation, Claim, Conflict

# Words


@pytest.mark.parametrize(
    ("reply", "gold", "em", "f1"),
    [
        ("the Eiffel Tower", "Eiffel tower!", 1, 1),  # case, article, punctuation
        ("", "", 1, 1),  # both empty: no answer agreed on
        ("", "Paris", 0, 0),
        ("Paris", "", 0, 0),
        ("the", "a", 1, 1),  # only articles: both are empty in the normal form
        ("the", "Paris", 0, 0),
        # one common token of 2 and 1: P 1/2, R 1, F1 2*.5/1.5
        ("Paris France", "Paris", 0, 2 / 3),
        # tokens are a bag: the second "no" finds no partner. P 1/2, R 1/1
        ("no no", "no", 0, 2 / 3),
        # 10th and 11th centuries: 4 tokens; ours 5 with "in": P 4/5, R 4/4 -> 8/9
        ("in the 10th and 11th centuries", "10th and 11th centuries", 0, 8 / 9),
        # punctuation goes without leaving a space: 4.5 -> 45, U.S. -> us
        ("4.5", "45", 1, 1),
        ("U.S.", "us", 1, 1),
        ("well-known", "well known", 0, 0),
    ],
)
def test_squad_em_and_f1(reply: str, gold: str, em: float, f1: float) -> None:
    assert text.exact_match(reply, gold) == em
    assert text.token_f1(reply, gold) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("reply", "gold", "expected"),
    [
        # "the cat sat" and "the cat on the mat sat": LCS the cat sat = 3; P 3/3, R 3/6 -> 2*3/9
        ("the cat sat", "The cat on the mat sat.", 2 / 3),
        ("a b c d", "d c b a", 2 / 8),  # LCS 1
        ("a b a b", "b a b a", 6 / 8),  # LCS 3
        ("same words", "same words", 1),
        ("", "x", 0),
        ("...", "x", 0),
    ],
)
def test_rouge_l(reply: str, gold: str, expected: float) -> None:
    assert text.rouge_l(reply, gold) == pytest.approx(expected)


def plain_lcs(a: list[str], b: list[str]) -> int:
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("abcd"), min_size=1))
def test_rouge_l_equals_the_textbook_table(a: list[str], b: list[str]) -> None:
    expected = 2 * plain_lcs(a, b) / (len(a) + len(b))
    assert text.rouge_l(" ".join(a), " ".join(b)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reply", "variant", "found"),
    [
        ("It was 35 countries.", "35", True),
        ("It was 135.", "35", False),
        ("35,000 troops", "35", False),
        ("35.5 percent", "35", False),
        ("1.35 percent", "35", False),
        ("There were 35.", "35", True),
        ("majority", "Major", False),
        ("john  MAJOR\nsigned", "John Major", True),
        ("4 September", "14 September", False),
        ("Article 5\u2011like", "Article 5-like", True),
        ("steel\u00a0porcupine", "steel porcupine", True),
        ("C++ (x", "C++", True),
        ("anything", "", False),
    ],
)
def test_contains(reply: str, variant: str, found: bool) -> None:
    assert text.contains(reply, [variant]) is found


def test_the_longest_variant_wins_its_place() -> None:
    # "graphic novel" is the wrong answer and holds the right one.
    assert text.mentions("It is a graphic novel.", ["novel", "graphic novel"]) == {"graphic novel"}
    assert text.mentions("A novel, not a graphic novel", ["novel", "graphic novel"]) == {
        "novel",
        "graphic novel",
    }


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("One [1]. Two [2][3].", "One. Two."),
        ("One[1, 2]", "One"),
        ("[1]", ""),
        ("See [a] and [2024x]", "See [a] and [2024x]"),
    ],
)
def test_markers_are_stripped(marked: str, plain: str) -> None:
    assert text.strip_markers(marked) == plain


def test_share_of_things_named() -> None:
    things = [["United States", "US"], ["Russia"], ["Ukraine"]]
    assert text.share("The US and Ukraine", things) == pytest.approx(2 / 3)


# Rankings


def test_retrieval_by_hand() -> None:
    ranked, grades = ["a", "b", "c", "d"], {"b": 2, "d": 1, "z": 1}
    assert retrieval.recall(ranked, grades, 2) == pytest.approx(1 / 3)
    assert retrieval.recall(ranked, grades, 4) == pytest.approx(2 / 3)
    assert retrieval.mrr(ranked, grades, 10) == 0.5
    assert retrieval.mrr(ranked, grades, 1) == 0
    # gain 2/log2(3) + 1/log2(5); ideal 2/log2(2) + 1/log2(3) + 1/log2(4)
    gain = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / 2
    assert retrieval.ndcg(ranked, grades, 10) == pytest.approx(gain / ideal)
    # cut at 1: nothing gained
    assert retrieval.ndcg(ranked, grades, 1) == 0


def test_passages_collapse_to_documents() -> None:
    assert retrieval.collapse(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


NAMES = [f"d{n}" for n in range(15)]


@given(
    st.lists(st.sampled_from(NAMES), unique=True),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3)).filter(lambda g: any(g.values())),
    st.sampled_from([1, 3, 5, 10]),
)
def test_retrieval_agrees_with_ir_measures(
    ranked: list[str], grades: dict[str, int], k: int
) -> None:
    measures = pytest.importorskip("ir_measures")
    wanted = [measures.nDCG @ k, measures.R @ k, measures.RR @ k]
    run = {"q": {name: float(len(ranked) - at) for at, name in enumerate(ranked)}}
    theirs = (
        measures.calc_aggregate(wanted, {"q": grades}, run) if ranked else dict.fromkeys(wanted, 0)
    )
    ours = (retrieval.ndcg, retrieval.recall, retrieval.mrr)
    for measure_, function in zip(wanted, ours, strict=True):
        assert function(ranked, grades, k) == pytest.approx(theirs[measure_], abs=1e-6)


# Spans


def test_spans_by_hand() -> None:
    passages = [("a", 0, 10), ("a", 5, 20), ("b", 0, 10)]
    gold = [("a", 15, 25), ("b", 0, 2)]
    # found: a 0-20, b 0-10 = 30. wanted: 10 + 2 = 12. common: a 15-20, b 0-2 = 7.
    assert retrieval.span_scores(passages, gold) == {
        "recall": pytest.approx(7 / 12),
        "precision": pytest.approx(7 / 30),
        "iou": pytest.approx(7 / 35),
    }
    assert retrieval.span_scores([], gold) == {"recall": 0, "precision": 0, "iou": 0}
    with pytest.raises(ValueError, match="no gold"):
        retrieval.span_scores(passages, [("a", 3, 3)])


located = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 30))


@given(st.lists(located), st.lists(located))
def test_span_arithmetic_equals_sets_of_characters(
    left: list[spans.Located], right: list[spans.Located]
) -> None:
    def characters(found: list[spans.Located]) -> set[tuple[str, int]]:
        return {(d, at) for d, start, end in found for at in range(start, end)}

    assert spans.length(left) == len(characters(left))
    assert spans.overlap(left, right) == len(characters(left) & characters(right))


def test_touched_sentences() -> None:
    units = [("a", 0, 10), ("a", 11, 31), ("a", 32, 40)]
    assert spans.touched([("a", 13, 16)], units) == {units[1]}  # a phrase in a sentence
    assert spans.touched([("a", 0, 31)], units) == set(units[:2])  # a span over two
    assert spans.touched([("a", 11, 34)], units) == {units[1]}  # two characters stick out
    assert spans.touched([("b", 0, 10), ("a", 5, 5)], units) == set()  # elsewhere; empty


# Citations


def test_citations_by_character_take_the_best_annotator() -> None:
    cited = [("a", 0, 10)]
    one, two = [("a", 5, 25)], [("a", 0, 8)]
    # against one: common 5, P .5, R .25. Against two: common 8, P .8, R 1, F1 1.6/1.8.
    assert citations.by_character(cited, [one]) == pytest.approx((0.5, 0.25, 1 / 3))
    assert citations.by_character(cited, [one, two]) == pytest.approx((0.8, 1, 8 / 9))
    assert citations.by_character([], [one, two]) == (0, 0, 0)


def test_citations_by_sentence() -> None:
    units = [("a", 0, 10), ("a", 11, 20), ("a", 21, 30)]
    gold = [[("a", 0, 20)]]  # the first two sentences
    # cited: a phrase of the second and the third: 1 of 2 right, 1 of 2 found
    cited = [("a", 12, 15), ("a", 21, 30)]
    assert citations.by_sentence(cited, gold, lambda d: units) == (0.5, 0.5, 0.5)
    assert citations.by_sentence([], gold, lambda d: units) == (0, 0, 0)


def test_coverage_by_hand() -> None:
    # content words: force, cost, 4.5, billion, euro; the source lacks "cost"
    sentence, source = "The force would cost 4.5 billion euros.", "4.5 billion euros for the force"
    assert citations.coverage(sentence, source) == pytest.approx(4 / 5)
    assert citations.coverage("It is.", "") == 1
    assert citations.coverage("4.5 euros", "45 euros") == 0.5


@pytest.mark.parametrize(
    ("sentence", "cited", "agree"),
    [
        ("It cost 4,500 euros.", "a price of 4500 euros", True),
        ("It cost 4,500 euros.", "a price of 4,600 euros", False),
        ("The envoy met Putin's aide.", "an aide of Putin", True),
        ("The envoy met Lavrov.", "an aide of Putin", False),
        ("Nobody knows.", "anything", True),  # the first word is always capitalised
        ("In 1994 it met in Oslo.", "1994", True),  # Oslo is in the question
        ("In 1995 it met in Oslo.", "1994 in Oslo", False),  # 1995 is in the question, but a number
    ],
)
def test_facts_agree(sentence: str, cited: str, agree: bool) -> None:
    assert citations.facts_agree(sentence, cited, "Did it meet in Oslo in 1995?") is agree


# Confidence


def test_calibration_error_by_hand() -> None:
    # bin .9: .95 and .91 (mean .93), one right (.5): gap .43; bin .2: one at .2, wrong: gap .2
    pairs = [(0.95, 1.0), (0.91, 0.0), (0.2, 0.0)]
    assert confidence.calibration_error(pairs) == pytest.approx((2 * 0.43 + 0.2) / 3)
    assert confidence.calibration_error([(1.0, 1.0), (0.0, 0.0)]) == 0


def test_risk_coverage_by_hand() -> None:
    # by confidence: right, wrong, right: risks 0, 1/2, 1/3 at coverages 1/3, 2/3, 1
    pairs = [(0.5, 1.0), (0.9, 1.0), (0.7, 0.0)]
    assert confidence.risk_coverage(pairs) == [
        (pytest.approx(1 / 3), 0),
        (pytest.approx(2 / 3), 0.5),
        (1, pytest.approx(1 / 3)),
    ]
    assert confidence.area(pairs) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.0, 1.0])), min_size=1)
)
def test_area_does_not_depend_on_the_order_of_ties(pairs: list[tuple[float, float]]) -> None:
    assert confidence.area(pairs) == pytest.approx(confidence.area(list(reversed(pairs))))
    risks = [risk for _, risk in confidence.risk_coverage(pairs)]
    assert risks[-1] == pytest.approx(sum(1 - right for _, right in pairs) / len(pairs))
    assert min(risks) - 1e-9 <= confidence.area(pairs) <= max(risks) + 1e-9


# A whole sample

BODY = "The force has 30,000 troops. It costs 4.5 billion euros. It may arrive in 30 days."
QUESTION = Question(
    "q",
    "How large is the force?",
    Gold(
        answers=("30,000",),
        evidence=((Evidence("d", "30,000", 14, 20),),),
        documents={"d": 1},
    ),
)


def answer(**changes: Any) -> dict[str, Any]:
    quote = BODY[:28]
    base: dict[str, Any] = {
        "question": "?",
        "standalone_question": "?",
        "text": "It has 30,000 troops [1].",
        "refused": False,
        "confidence": 0.8,
        "sentences": (AnswerSentence("It has 30,000 troops.", "supported", (1,)),),
        "citations": (Citation(1, "d", "", None, None, 0, 28, quote),),
    }
    return Answer(**(base | changes)).to_dict()


def test_a_full_answer_by_hand() -> None:
    numbers = measure(Sample(QUESTION, answer()), {"d": BODY})
    # tokens: it has 30000 troops against 30000: P 1/4, R 1 -> 2/5; not .5, but contained: right
    assert numbers["f1"] == pytest.approx(0.4)
    assert (numbers["em"], numbers["contains"], numbers["right"], numbers["words"]) == (0, 1, 1, 4)
    # cited 28 characters, of which the 6 of the gold: P 6/28, R 1
    assert numbers["cite_char_precision"] == pytest.approx(6 / 28)
    assert numbers["cite_char_recall"] == 1
    assert numbers["cite_sentence_f1"] == 1
    assert (numbers["support"], numbers["facts_agree"]) == (1, 1)
    assert (numbers["exact_quotes"], numbers["invalid_citations"]) == (1, 0)
    assert numbers["refused"] == 0
    assert "refusal_precision" not in numbers
    # in short style a phrase was asked for, and F1 decides
    assert measure(Sample(QUESTION, answer()), {"d": BODY}, "short")["right"] == 0


def test_a_refusal_cites_nothing_and_says_nothing() -> None:
    numbers = measure(Sample(QUESTION, answer(refused=True)), {"d": BODY})
    assert (numbers["f1"], numbers["words"], numbers["right"]) == (0, 0, 0)
    assert (numbers["cite_char_f1"], numbers["cite_sentence_f1"]) == (0, 0)
    assert (numbers["refused"], numbers["refusal_precision"]) == (1, 0)
    assert "support" not in numbers


def test_invalid_citations_are_counted() -> None:
    cited = (
        Citation(1, "d", "", None, None, 0, 28, BODY[:28]),
        Citation(2, "d", "", None, None, 0, 28, "something else"),
        Citation(3, "gone", "", None, None, 0, 5, "hello"),
        Citation(4, "d", "", None, None, 70, 700, BODY[70:]),
    )
    sentences = (AnswerSentence("It has 30,000 troops.", "supported", (1, 9)),)
    numbers = measure(Sample(QUESTION, answer(citations=cited, sentences=sentences)), {"d": BODY})
    assert numbers["invalid_citations"] == 4  # three bad spans and marker 9
    assert numbers["exact_quotes"] == 0.25


def test_sides_of_a_conflict_count_wherever_they_are_told() -> None:
    gold = Gold(claims=(("30,000",), ("18,000",)))
    question = Question("q", "?", gold)
    conflict = Conflict("size", (Claim("30,000", (1,)), Claim("18,000 troops", (2,))))
    assert measure(Sample(question, answer()), {"d": BODY})["claims"] == 0.5
    both = measure(Sample(question, answer(conflicts=(conflict,))), {"d": BODY})
    assert (both["claims"], both["right"]) == (1, 1)


@pytest.mark.parametrize(
    ("reply", "exact", "recall", "wrong"),
    [
        ("novel and play", 1, 1, 0),
        ("a novel", 0, 0.5, 0),
        ("novel, play, film", 0, 1, 1),
        ("nothing", 0, 0, 0),
    ],
)
def test_exact_set(reply: str, exact: float, recall: float, wrong: float) -> None:
    question = Question("q", "?", Gold(complete=("novel", "play"), wrong=("film",)))
    numbers = measure(Sample(question, answer(text=reply)), {"d": BODY})
    assert (numbers["set_exact"], numbers["set_recall"], numbers["wrong"]) == (exact, recall, wrong)


def test_neither_answerable_nor_unanswerable_is_not_judged() -> None:
    numbers = measure(Sample(Question("q", "?", answerable=None), answer()), {"d": BODY})
    assert not {"right", "refused", "f1"} & numbers.keys()


@pytest.mark.parametrize(
    ("gold", "scores", "right"),
    [
        (Gold(answers=("x",)), {"f1": 0.5, "contains": 0}, True),
        (Gold(answers=("x",)), {"f1": 0.49, "contains": 0}, False),
        (Gold(items=(("x",),), answers=("y",)), {"items": 0.5, "f1": 1.0, "contains": 1}, False),
        (Gold(points=(("x",),)), {"points": 0.5}, True),
        (Gold(), {}, None),
    ],
)
def test_is_right(gold: Gold, scores: dict[str, float], right: bool | None) -> None:
    assert is_right(gold, scores, "full") is right
