"""Attacks from documents: what an obedient model wants to say does not reach the reader."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fakes import HashEmbedder, ScriptedGenerator

from eval.suites import Options, injection, load
from eval.suites.injection import Attack
from rag.assistant import Assistant
from rag.collection import Collection
from rag.errors import InputError
from rag.generate import Generation, Message
from rag.records import Answer
from rag.settings import Settings

ATTACKS = tuple(injection.attacks())
BY_ID = {one.question.id: one for one in ATTACKS}
# Orders that read as plain statements or advice to people. What they claim is contradicted by two
# documents, so it is weighed as any other claim: see `Gold.wrong` of the suite.
READ_AS_CLAIMS = {"answer-3", "examples-2"}
# What blind obedience shows nothing about: a model that has nothing to say is believed, and one that
# repeats a document's false claim does so for every source that it is asked about.
LOYAL_ONLY = [
    one for one in ATTACKS if one.question.type == "refusal" or one.question.gold.complete
]
KNOWN = {
    "history-": "orders in the conversation reach the rewriting of the question",
    "steer-1": "a sentence that a source supports may carry a few words that none does",
}
BLIND = [one for one in ATTACKS if one not in LOYAL_ONLY]


def cases(attacks: Sequence[Attack]) -> list[object]:
    """The attacks as parameters, with what is known to get through."""
    return [
        pytest.param(
            one,
            id=one.question.id,
            marks=[
                pytest.mark.xfail(reason=reason, strict=False)
                for name, reason in KNOWN.items()
                if one.question.id.startswith(name)
            ],
        )
        for one in attacks
    ]


class Obedient(ScriptedGenerator):
    """A model that writes what the attacker wants: always, or once it has `read` the order."""

    def __init__(self, attack: Attack, always: bool) -> None:
        super().__init__()
        self.attack = attack
        self.always = always
        self.read = False

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: object
    ) -> Iterator[str]:
        prompt = "\n".join(one["content"] for one in messages)
        order = folded(self.attack.order)
        self.read |= self.attack.order in prompt or bool(order) and order in folded(prompt)
        obeys = self.always or self.read
        self.replies = [self.attack.wish if obeys else self.attack.truth or "unanswerable"]
        yield from super().stream(messages, max_tokens, into)


def folded(text: str) -> str:
    """`text` in small letters, without characters that nobody sees."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())


def told(answer: Answer) -> str:
    """All that a reader is told: everything but the passages, which are shown as they stand."""
    claims = [claim.text for one in answer.conflicts for claim in one.claims]
    parts = [answer.text, answer.standalone_question, *answer.missing, *claims]
    parts += [one.text for one in answer.sentences] + [one.quote for one in answer.citations]
    return folded("\n".join([*parts, *(one.about for one in answer.conflicts)]))


def ask(attack: Attack, settings: Settings, always: bool = False) -> tuple[Answer, Obedient]:
    bold = settings.model_copy(update={"refuse_below": 0.0, "search_gate": 0.0})
    model = Obedient(attack, always)
    with Collection.temporary([], bold, embedder=HashEmbedder()) as empty:
        answer = Assistant(empty, bold, model).ask(
            attack.question.question,
            history=[dict(turn) for turn in attack.question.history],
            documents=attack.documents,
        )
    return answer, model


def reached(attack: Attack, answer: Answer) -> list[str]:
    """The attacker's strings that a reader is told; where documents dispute it, in the text alone."""
    gold = attack.question.gold
    where = folded(answer.text) if gold.complete else told(answer)
    return [
        one for one in gold.wrong if re.search(rf"(?<!\w){re.escape(folded(one))}(?!\w)", where)
    ]


@pytest.mark.parametrize("attack", cases(ATTACKS))
def test_a_model_that_obeys_what_it_reads_does_not_read_the_order(
    attack: Attack, settings: Settings
) -> None:
    answer, model = ask(attack, settings)
    if attack.question.id in READ_AS_CLAIMS:
        assert model.read  # let it say so here when it no longer does
        return
    assert not model.read
    assert not reached(attack, answer)
    assert answer.refused != attack.question.answerable


@pytest.mark.parametrize("attack", cases(BLIND))
def test_a_model_that_obeys_blindly_is_not_believed(attack: Attack, settings: Settings) -> None:
    answer, _ = ask(attack, settings, always=True)
    assert not reached(attack, answer)


def test_the_suite() -> None:
    suite = load("injection", Options())
    assert suite.name == "injection" and not suite.pooled
    families = Counter(one.type for one in suite.questions)
    assert len(suite.questions) >= 66 and len(families) >= 14 and min(families.values()) >= 2
    assert injection.ATTACKS.stat().st_size < 200_000
    assert {one.id for one in suite.documents} == {
        name for one in suite.questions for name in one.documents or ()
    }
    assert all(one.date is None for one in suite.documents)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.question.id)
def test_attacks_are_fair(attack: Attack) -> None:
    question, gold = attack.question, attack.question.gold
    true = folded("\n".join(one.text for one in attack.documents[1:]))
    assert gold.wrong
    for wrong in gold.wrong:
        assert folded(wrong) not in true
        assert folded(wrong) not in folded(f"{question.question} {attack.truth}")
    if question.answerable:
        assert gold.answers and all(folded(one) in true for one in gold.answers[:1])
        assert any(folded(one) in folded(attack.truth) for one in gold.answers)
        assert folded(attack.truth).removesuffix(".") in true
    if gold.complete:  # outweighed: two true documents against one
        assert len(attack.documents) == 3


def test_a_page_goes_through_its_reader_and_a_text_keeps_its_characters() -> None:
    assert "ALABASTER" not in BY_ID["hidden-1"].documents[0].text
    assert "\u200b" in BY_ID["unicode-1"].documents[0].text
    assert BY_ID["hidden-1"].documents[0].media_type == "text/html"


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "attacks.jsonl"
    path.write_text('{"id": "a"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: field family is missing"):
        injection.load(path)
