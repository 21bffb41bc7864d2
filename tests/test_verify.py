"""A sentence against its sources: gold verdicts worked out by hand, and what must always hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.verify import verify

WARHEADS = "Ukraine gave up about 1,900 nuclear warheads in 1996."
REVENUE = "Revenue rose to $12.5 billion in 2021."
LAST_YEAR = "Profit in the year before was $10 billion."
TREATY = "The treaty was signed in Lisbon on March 4, 1997."
MARIE = "Marie Curie won the Nobel Prize in Physics in 1903."
WHALE = "The blue whale is a mammal."
BAT = "A bat is not a bird."
WATER = "The old bridge carries water to the mill."

# sentence, sources, question: what the sources say, in the same or in other words.
SUPPORTED = {
    "the same words": (WARHEADS, [WARHEADS], ""),
    "thousands without the mark": ("Ukraine gave up about 1900 nuclear warheads.", [WARHEADS], ""),
    "thousands in words": ("Ukraine gave up 1.9 thousand nuclear warheads.", [WARHEADS], ""),
    "hundreds in words": (
        "Ukraine gave up nineteen hundred nuclear warheads.",
        [WARHEADS],
        "",
    ),
    "a year in words": ("The mill opened in nineteen ninety-four.", ["The mill opened in 1994."], ""),
    "number word for digits": ("The treaty names 3 powers.", ["The treaty names three powers."], ""),
    "tens and units": ("The club has 21 members.", ["The club has twenty-one members."], ""),
    "a hundred and five": (
        "The tower has 105 steps.",
        ["The tower has one hundred and five steps."],
        "",
    ),
    "a dozen": ("The farm keeps twelve geese.", ["The farm keeps a dozen geese."], ""),
    "ordinal in digits": ("She lives on the 3rd floor.", ["She lives on the third floor."], ""),
    "dollar sign for the word": (
        "Revenue rose to 12.5 billion dollars in 2021.",
        [REVENUE],
        "",
    ),
    "bn for billion": ("Revenue rose to $12.5bn in 2021.", [REVENUE], ""),
    "percent for the sign": ("Sales fell by 5 percent.", ["Sales fell by 5%."], ""),
    "per cent for the sign": ("Sales fell by 5 per cent.", ["Sales fell by 5 %."], ""),
    "unit abbreviated": ("The road is 12 km long.", ["The road is 12 kilometres long."], ""),
    "year range": ("She ruled from 1990 to 1995.", ["She ruled from 1990 to 1995."], ""),
    "short year range": ("She ruled from 1990 to 1995.", ["She ruled 1990–95."], ""),
    "rounded and said so": (
        "Ukraine gave up about 1,900 warheads.",
        ["Ukraine gave up 1,894 warheads."],
        "",
    ),
    "day before month": ("The treaty was signed in Lisbon on 4 March 1997.", [TREATY], ""),
    "ISO date": ("The treaty was signed in Lisbon on 1997-03-04.", [TREATY], ""),
    "day with its ending": ("The treaty was signed in Lisbon on 4th of March 1997.", [TREATY], ""),
    "month and year of a date": ("The treaty was signed in Lisbon in March 1997.", [TREATY], ""),
    "year of a date": ("The treaty was signed in Lisbon in 1997.", [TREATY], ""),
    "short month": ("The treaty was signed in Lisbon on 4 Mar 1997.", [TREATY], ""),
    "accents left out": ("Jose Nunez wrote the song.", ["José Núñez wrote the song."], ""),
    "possessive": ("Curie's prize was in physics.", ["The prize of Curie was in physics."], ""),
    "people for country": ("The Scottish parliament met.", ["The parliament of Scotland met."], ""),
    "acronym of a name spelled out": (
        "The WHO declared an emergency.",
        ["The World Health Organization declared an emergency."],
        "",
    ),
    "spelled out where the source has the acronym": (
        "The World Health Organization declared an emergency.",
        ["The WHO declared an emergency today."],
        "",
    ),
    "dotted acronym": ("The U.S. army left.", ["The US army left."], ""),
    "name from the question": (
        "Marie Curie won the Nobel Prize in Physics.",
        ["She won the Nobel Prize in Physics in 1903."],
        "What did Marie Curie win?",
    ),
    "first word is no name": ("Later the mill burned down.", ["The mill burned down."], ""),
    "a year alone": ("1997", [TREATY], "When was the treaty signed?"),
    "a date alone": ("4 March 1997", [TREATY], "When was the treaty signed?"),
    "a name alone": ("Marie Curie", [MARIE], "Who won the Nobel Prize in Physics in 1903?"),
    "a place alone": ("Lisbon", [TREATY], "Where was the treaty signed?"),
    "a phrase alone": ("nuclear warheads", [WARHEADS], "What did Ukraine give up?"),
    "money alone": ("$12.5 billion", [REVENUE], "What was the revenue in 2021?"),
    "two sources, one fact each": (
        "The treaty was signed in Lisbon in 1997 and Ukraine gave up 1,900 warheads.",
        [TREATY, WARHEADS],
        "",
    ),
    "negation on both sides": ("A bat is not a bird.", [BAT], ""),
    "negation contracted": ("A bat isn't a bird.", [BAT], ""),
    "never for not": ("The king never visited the palace.", ["The king did not visit the palace."], ""),
    "a prefix for not": ("The strike was not lawful.", ["The strike was unlawful."], ""),
    "a negation of something else": (
        "The mill opened in 1994.",
        ["The mill opened in 1994, though no road led there yet."],
        "",
    ),
    "not only": ("He wrote songs.", ["He wrote not only songs but also plays."], ""),
}  # fmt: skip

# The sources say otherwise, or do not say it, however many words they share.
UNSUPPORTED = {
    "another number": ("Ukraine gave up about 2,900 nuclear warheads in 1996.", [WARHEADS], ""),
    "another year": ("Ukraine gave up about 1,900 nuclear warheads in 1997.", [WARHEADS], ""),
    "ten times as much": ("Revenue rose to $125 billion in 2021.", [REVENUE], ""),
    "million for billion": ("Revenue rose to $12.5 million in 2021.", [REVENUE], ""),
    "number of the neighbouring sentence": (
        "Revenue rose to $10 billion in 2021.",
        [REVENUE, LAST_YEAR],
        "",
    ),
    "number of the same sentence": (
        "The north tower has 12 floors.",
        ["The north tower has 30 floors and the chapel beside it seats 12 people."],
        "",
    ),
    "another number word": ("The treaty names four powers.", ["The treaty names three powers."], ""),
    "percent for a count": ("Some 40 percent of the men left.", ["Some 40 of the men left."], ""),
    "another currency": ("The house cost €300.", ["The house cost $300."], ""),
    "another unit": ("The road is 12 km long.", ["The road is 12 miles long."], ""),
    "month and day swapped": (
        "The treaty was signed in Lisbon on April 3, 1997.",
        [TREATY],
        "",
    ),
    "another day": ("The treaty was signed in Lisbon on March 5, 1997.", [TREATY], ""),
    "another month": ("The treaty was signed in Lisbon on May 4, 1997.", [TREATY], ""),
    "a day that is not said": (
        "The treaty was signed in Lisbon on 4 March 1997.",
        ["The treaty was signed in Lisbon in March 1997."],
        "",
    ),
    "a year alone, another": ("1998", [TREATY], "When was the treaty signed?"),
    "another name": ("Pierre Gassendi won the Nobel Prize in Physics in 1903.", [MARIE], ""),
    "another first name": (
        "In 1903 Irène Curie won the Nobel Prize in Physics.",
        [MARIE],
        "",
    ),
    "another place": ("The treaty was signed in Madrid on March 4, 1997.", [TREATY], ""),
    "a name alone, another": ("Albert Einstein", [MARIE], "Who won the Nobel Prize in 1903?"),
    "negation put in": ("The blue whale is not a mammal.", [WHALE], ""),
    "negation put in, contracted": ("The blue whale isn't a mammal.", [WHALE], ""),
    "negation left out": ("A bat is a bird.", [BAT], ""),
    "never left out": ("The king left the palace.", ["The king never left the palace."], ""),
    "never put in": ("The king never left the palace.", ["The king left the palace."], ""),
    "failed to": ("The army reached the coast.", ["The army failed to reach the coast."], ""),
    "failed to, put in": (
        "The army failed to reach the coast.",
        ["The army reached the coast in May."],
        "",
    ),
    "without": ("He travels with a passport.", ["He travels without a passport."], ""),
    "negative prefix": ("The strike was unlawful.", ["The strike was lawful."], ""),
    "opposite word": ("Prices fell in the summer.", ["Prices rose in the summer."], ""),
    "nothing in common": ("Penguins enjoy swimming.", [WATER], ""),
    "no sources": ("The mill opened in 1994.", [], ""),
    "no words": ("…", [WATER], ""),
}  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "sources", "question"), SUPPORTED.values(), ids=SUPPORTED.keys()
)
def test_supported(sentence: str, sources: list[str], question: str) -> None:
    verdict = verify(sentence, sources, question)
    assert (verdict.status, verdict.clashes) == ("supported", ())


@pytest.mark.parametrize(
    ("sentence", "sources", "question"), UNSUPPORTED.values(), ids=UNSUPPORTED.keys()
)
def test_unsupported(sentence: str, sources: list[str], question: str) -> None:
    assert verify(sentence, sources, question).status == "unsupported"


@pytest.mark.parametrize(
    ("sentence", "source", "clash"),
    [
        ("It sold 1,900 copies.", "It sold 1,400 copies.", "the number 1,900 is not in the source"),
        ("We met Ann in Rome.", "We met Ann in Oslo.", "the name Rome is not in the source"),
        ("It is not red.", "It is red.", "the source does not say “not” here"),
        ("It is red.", "It is not red.", "the source says “not” here"),
        ("Prices fell.", "Prices rose.", "the source says rose, not fell"),
    ],
    ids=["number", "name", "negation here", "negation there", "opposite"],
)  # fmt: skip
def test_a_clash_is_said_in_plain_words(sentence: str, source: str, clash: str) -> None:
    assert clash in verify(sentence, [source]).clashes


def test_a_title_supplies_the_name() -> None:
    source = ["It was founded in 1871 by two brothers."]
    sentence = "We know that Acme Mills was founded in 1871 by two brothers."
    assert verify(sentence, source).status == "unsupported"
    assert verify(sentence, source, contexts=["Acme Mills"]).status == "supported"


def test_a_title_supplies_no_place_for_a_number() -> None:
    # 2021 stands in the title, but the sentence with the revenue speaks of 2019.
    source = ["Revenue rose to $12 billion in 2019."]
    found = verify("Revenue rose to $12 billion in 2021.", source, contexts=["Report 2021"])
    assert found.status != "supported"


def test_coverage_is_the_share_of_weight() -> None:
    # memorandum 1, sign 1 and banana 1 are plain words, 1994 counts double: 4 of 5.
    found = verify("memorandum signed banana 1994", ["The memorandum was signed in 1994."])
    assert found.coverage == pytest.approx(4 / 5)


def test_half_of_it_is_partial() -> None:
    # bridge, water, old of bridge, water, old, red, stones: 3 of 5.
    assert verify("the old bridge of red stones: water", [WATER]).status == "partial"


def test_the_score_falls_as_evidence_is_missing() -> None:
    sentences = [
        "The old bridge carries water to the mill.",
        "The old bridge carries water to the mill and the bakery.",
        "The old bridge carries heavy carts to the bakery.",
        "The old bridge carries not water to the mill.",
    ]
    whole, more, half, denied = (verify(one, [WATER]).score for one in sentences)
    assert whole == 1.0
    assert whole > more > half
    assert denied < more


def test_similarity_moves_the_score_alone() -> None:
    near, far = (verify("The bridge carries grain.", [WATER], similarity=s) for s in (0.9, 0.1))
    assert near.score > far.score
    assert (near.status, near.coverage) == (far.status, far.coverage)


def test_a_check_that_is_left_out_finds_nothing() -> None:
    found = verify("The mill opened in 1995.", ["The mill opened in 1994."], checks=frozenset())
    assert found.clashes == ()


SENTENCES = [WARHEADS, REVENUE, LAST_YEAR, TREATY, MARIE, WHALE, BAT, WATER]
WORDS = st.lists(
    st.sampled_from(
        "the not never Lima Curie 12 1,900 1994 $5 5% March 4 two bridge purr failed to ( ) ’".split()
    ),
    max_size=14,
).map(" ".join)  # fmt: skip


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=3), st.text(max_size=30))
def test_any_text_gets_a_verdict(sentence: str, sources: list[str], question: str) -> None:
    found = verify(sentence, sources, question)
    assert 0 <= found.coverage <= 1
    assert 0 <= found.score <= 1
    assert not (found.clashes and found.status != "unsupported")


@given(WORDS, st.lists(WORDS, max_size=4), WORDS, st.randoms())
def test_the_order_of_sources_does_not_matter(sentence, sources, question, random) -> None:  # type: ignore[no-untyped-def]
    other = list(sources)
    random.shuffle(other)
    one, two = verify(sentence, sources, question), verify(sentence, other, question)
    assert (one.status, one.coverage, one.score) == (two.status, two.coverage, two.score)


@given(st.sampled_from(SENTENCES), st.sets(st.sampled_from(SENTENCES), max_size=4))
def test_a_sentence_supports_itself(sentence: str, others: set[str]) -> None:
    found = verify(sentence, [sentence, *sorted(others)])
    assert (found.status, found.coverage) == ("supported", 1.0)


NUMBERED = [one for one in SENTENCES if re.search(r"\d", one)]


@given(st.sampled_from(NUMBERED), st.integers(0, 20), st.integers(1, 9))
def test_a_changed_digit_is_never_supported(sentence: str, place: int, by: int) -> None:
    digits = [match.start() for match in re.finditer(r"\d", sentence)]
    at = digits[place % len(digits)]
    changed = sentence[:at] + str((int(sentence[at]) + by) % 10) + sentence[at + 1 :]
    assert verify(changed, [sentence]).status == "unsupported"
