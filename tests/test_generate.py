"""Greedy decoding over a model whose every logit is known."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import CONTROL, save_byte_tokenizer
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rag.convert import LOGITS_KEPT
from rag.errors import ModelError
from rag.generate import ChatTokenizer, Generation, LocalGenerator, Logits, Message, load_generator
from rag.prefix import PrefixCache, State
from rag.settings import Settings

SIZE = 256 + len(CONTROL)
END = CONTROL["<|im_end|>"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer(save_byte_tokenizer(tmp_path_factory.mktemp("tokenizer")))


class Parrot:
    """A CausalLM that says `reply` after any prompt, then the end token for ever.

    The logit of the next token is `sure`, all others 0. Like the converted models it returns logits
    for the last 16 tokens at most. `reads` holds the sizes of all that it was made to read. With
    `grain` the logits depend a little on how the reading was split, as they do in real runtimes.
    """

    name = "parrot"
    fingerprint = "parrot 1"

    def __init__(
        self, tokenizer: ChatTokenizer, reply: str | list[int], grain: float = 0.0
    ) -> None:
        self.reply = reply if isinstance(reply, list) else encode(tokenizer, reply)
        self.sure = 5.0
        self.grain = grain
        self.length = 0
        self.adapted = False
        self.reads: list[int] = []
        self._seen: list[int] = []
        self._opening = encode(tokenizer, "<|im_start|>assistant\n")

    def forward(self, ids: Sequence[int]) -> Logits:
        assert ids
        self._seen += ids
        self.length = len(self._seen)
        self.reads.append(len(ids))
        rows = np.zeros((min(len(ids), LOGITS_KEPT), SIZE), np.float32)
        for row in range(len(rows)):
            self._fill(rows[row], self._seen[: self.length - len(rows) + row + 1])
        rows += self.grain * (len(ids) % 7) * np.linspace(0, 1, SIZE, dtype=np.float32)
        return rows

    def _fill(self, row: Logits, seen: list[int]) -> None:
        at = last_place(seen, self._opening)
        if at is None:
            return
        said = seen[at:]
        # A draft that strays from the reply is answered with something else again.
        follows = said == self.reply[: len(said)]
        token = self.reply[len(said)] if follows and len(said) < len(self.reply) else END
        row[token] = self.sure

    def truncate(self, length: int) -> None:
        del self._seen[length:]
        self.length = len(self._seen)

    def state(self) -> State:
        return {"seen": np.array(self._seen)}

    def restore(self, state: State, length: int) -> None:
        self._seen = state["seen"].tolist()
        self.length = len(self._seen)
        assert self.length == length


def last_place(seen: list[int], opening: list[int]) -> int | None:
    for at in range(len(seen) - len(opening), -1, -1):
        if seen[at : at + len(opening)] == opening:
            return at + len(opening)
    return None


def encode(tokenizer: ChatTokenizer, text: str) -> list[int]:
    return list(tokenizer._tokenizer.encode(text, add_special_tokens=False).ids)


def ask(question: str = "Say it.", system: str = "Be brief.") -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def run(
    model: Parrot,
    tokenizer: ChatTokenizer,
    lookup: int = 6,
    limit: int = 1000,
    question: str = "Say it.",
) -> tuple[list[str], Generation]:
    record = Generation()
    pieces = list(LocalGenerator(model, tokenizer, lookup).stream(ask(question), limit, record))
    assert "".join(pieces) == record.text
    return pieces, record


REPEATING = "the cat and the dog and the cat and the dog sat and the cat and the dog slept"


def test_it_says_what_the_model_says(tokenizer: ChatTokenizer) -> None:
    pieces, record = run(Parrot(tokenizer, "It is so."), tokenizer)
    assert record.text == "It is so."
    assert pieces == list("It is so.")
    assert record.generated_tokens == 9
    assert record.prompt_tokens == len(tokenizer.prompt_ids(ask()))
    assert record.first_token_s is not None


def test_log_probabilities_are_those_of_the_softmax(tokenizer: ChatTokenizer) -> None:
    _, record = run(Parrot(tokenizer, REPEATING), tokenizer)
    # One logit of 5 among zeros: log(e^5 / (e^5 + 258)); the end token counts too.
    expected = 5 - math.log(math.exp(5) + SIZE - 1)
    assert record.logprobs == pytest.approx([expected] * (len(REPEATING) + 1))


def test_prompt_lookup_changes_nothing_but_the_work(tokenizer: ChatTokenizer) -> None:
    plain, quick = Parrot(tokenizer, REPEATING), Parrot(tokenizer, REPEATING)
    question = f"Repeat: {REPEATING}"
    slow_pieces, slow = run(plain, tokenizer, 0, question=question)
    quick_pieces, fast = run(quick, tokenizer, 6, question=question)
    assert (slow_pieces, slow.logprobs) == (quick_pieces, fast.logprobs)
    assert len(quick.reads) < len(plain.reads) / 3


def test_a_draft_is_no_longer_than_the_logits_that_are_kept(tokenizer: ChatTokenizer) -> None:
    model = Parrot(tokenizer, REPEATING)
    _, record = run(model, tokenizer, 32, question=f"Repeat: {REPEATING}")
    assert record.text == REPEATING
    assert max(model.reads[2:]) <= LOGITS_KEPT


@hypothesis_settings(max_examples=60)
@given(
    st.text("ab é😀", max_size=60),
    st.text("ab ", max_size=60),
    st.integers(0, 15),
    st.integers(1, 80),
)
def test_any_reply_any_prompt_any_lookup(
    tokenizer: ChatTokenizer, reply: str, question: str, lookup: int, limit: int
) -> None:
    model = Parrot(tokenizer, reply)
    _, record = run(model, tokenizer, lookup, limit, question)
    ids = encode(tokenizer, reply)[:limit]
    assert record.text == tokenizer.decode(ids).rstrip("\ufffd")
    assert record.generated_tokens == len(ids)
    assert len(record.logprobs) == min(limit, len(encode(tokenizer, reply)) + 1)


def test_nothing_follows_the_end_token(tokenizer: ChatTokenizer) -> None:
    reply = [*encode(tokenizer, "Done."), END, *encode(tokenizer, " And more.")]
    _, record = run(Parrot(tokenizer, reply), tokenizer, 0)
    assert (record.text, record.generated_tokens, len(record.logprobs)) == ("Done.", 5, 6)


@pytest.mark.parametrize("limit", [1, 2, 7, 50])
def test_the_limit_is_kept_with_and_without_drafts(tokenizer: ChatTokenizer, limit: int) -> None:
    for lookup in (0, 6):
        _, record = run(Parrot(tokenizer, REPEATING), tokenizer, lookup, limit, f"Say {REPEATING}")
        assert record.text == REPEATING[:limit]
        assert record.generated_tokens == limit


def test_characters_arrive_whole(tokenizer: ChatTokenizer) -> None:
    reply = "Zażółć 😀👍🏽 日本"
    pieces, record = run(Parrot(tokenizer, reply), tokenizer)
    assert record.text == reply
    assert not any("\ufffd" in piece for piece in pieces)
    assert "😀" in pieces


def test_half_a_character_at_the_end_is_left_out(tokenizer: ChatTokenizer) -> None:
    _, record = run(Parrot(tokenizer, encode(tokenizer, "Hi 😀")[:-1]), tokenizer)
    assert record.text == "Hi "


def test_closing_stops_the_model_and_the_next_reply_is_whole(tokenizer: ChatTokenizer) -> None:
    model = Parrot(tokenizer, REPEATING)
    generator = LocalGenerator(model, tokenizer, 6)
    record = Generation()
    stream = generator.stream(ask(), 1000, record)
    assert next(stream) + next(stream) == "th"
    stream.close()  # type: ignore[attr-defined]
    reads = len(model.reads)
    assert record.text == "th"
    assert list(stream) == []
    assert len(model.reads) == reads
    again = Generation()
    assert "".join(generator.stream(ask(), 1000, again)) == REPEATING


def test_the_system_message_is_read_once(tokenizer: ChatTokenizer) -> None:
    model = Parrot(tokenizer, "Yes.")
    generator = LocalGenerator(model, tokenizer, 0)
    constant = len(encode(tokenizer, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"))

    def read(question: str, system: str = "Be brief.") -> list[int]:
        model.reads.clear()
        list(generator.stream(ask(question, system), 100, Generation()))
        return [size for size in model.reads if size > 1]

    rest = len(encode(tokenizer, "One?<|im_end|>\n<|im_start|>assistant\n"))
    assert read("One?") == [constant, rest]
    assert read("Two?") == [rest]
    assert len(read("Two?", "Be long.")) == 2
    assert read("One?") == [constant, rest]


def test_after_a_restart_the_system_message_is_known(
    tokenizer: ChatTokenizer, tmp_path: Path
) -> None:
    def asked(adapted: bool) -> tuple[list[int], list[float]]:
        model, record = Parrot(tokenizer, "Yes.", grain=0.01), Generation()
        prefixes = PrefixCache(tmp_path, model.fingerprint)
        generator = LocalGenerator(model, tokenizer, 6, prefixes)
        assert "".join(generator.stream(ask("One?"), 9, record, adapted=adapted)) == "Yes."
        return model.reads, record.logprobs

    constant = len(encode(tokenizer, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"))
    first, logprobs = asked(adapted=False)
    assert first[0] == constant
    assert asked(adapted=False) == (first[1:], logprobs), "the same bits, without that part"
    assert asked(adapted=True)[0][0] == constant, "with the adapter it is another"


def test_what_a_document_says_is_not_kept(tokenizer: ChatTokenizer, tmp_path: Path) -> None:
    prefixes = PrefixCache(tmp_path / "prefixes", "parrot 1")
    generator = LocalGenerator(Parrot(tokenizer, "Yes."), tokenizer, 6, prefixes)
    list(generator.stream([{"role": "user", "content": "A passage."}], 9, Generation()))
    assert not (tmp_path / "prefixes").exists()


def test_the_same_question_gives_the_same_bits_whatever_came_before(
    tokenizer: ChatTokenizer,
) -> None:
    def bits(generator: LocalGenerator, question: str, system: str = "Be brief.") -> list[float]:
        record = Generation()
        list(generator.stream(ask(question, system), 100, record))
        return record.logprobs

    fresh = bits(LocalGenerator(Parrot(tokenizer, REPEATING, 0.01), tokenizer, 6), "What?")
    used = LocalGenerator(Parrot(tokenizer, REPEATING, 0.01), tokenizer, 6)
    for before, system in (
        ("Something else?", "Be brief."),
        ("", "Be brief."),
        ("What?", "Another one."),
    ):
        bits(used, before, system)
        assert bits(used, "What?") == fresh


def test_a_second_form_of_a_question_reads_what_differs(tokenizer: ChatTokenizer) -> None:
    model = Parrot(tokenizer, "Yes.")
    generator = LocalGenerator(model, tokenizer, 0)
    list(generator.stream(ask("What is it? Briefly."), 100, Generation()))
    model.reads.clear()
    list(generator.stream(ask("What is it? At length."), 100, Generation(), again=True))
    new = len(encode(tokenizer, "At length.<|im_end|>\n<|im_start|>assistant\n"))
    assert model.reads[0] == new
    model.reads.clear()
    list(generator.stream(ask("What is it? Briefly."), 100, Generation()))
    assert model.reads[0] > new, "not `again`: read as the first time, for the same bits"


def test_the_adapter_is_switched_between_prompts_that_share_nothing(
    tokenizer: ChatTokenizer,
) -> None:
    model = Parrot(tokenizer, "Yes.")
    generator = LocalGenerator(model, tokenizer, 0)
    list(generator.stream(ask("One?"), 100, Generation(), adapted=True))
    assert model.adapted
    model.reads.clear()
    list(generator.stream(ask("One?"), 100, Generation()))
    assert not model.adapted
    assert len([size for size in model.reads if size > 1]) == 2, "the constant part is read anew"


def test_a_withheld_reply_is_weighed_and_never_given(tokenizer: ChatTokenizer) -> None:
    model = Parrot(tokenizer, "No.")
    record = Generation()
    said = "".join(LocalGenerator(model, tokenizer, 0).stream(ask("?"), 1, record, withhold="No"))
    # One logit of 5 among SIZE - 1 of 0.
    assert record.withheld == pytest.approx(math.exp(5) / (math.exp(5) + SIZE - 1), rel=1e-6)
    assert not said.startswith("N")


def test_a_question_that_is_a_prefix_of_the_constant_part(tokenizer: ChatTokenizer) -> None:
    generator = LocalGenerator(Parrot(tokenizer, "Yes."), tokenizer, 6)
    for question in ("", "a", ""):
        assert "".join(generator.stream(ask(question), 100, Generation())) == "Yes."


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    (save_byte_tokenizer(tmp_path) / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        ChatTokenizer(tmp_path)


def test_a_template_may_stand_in_the_config(tmp_path: Path) -> None:
    file = save_byte_tokenizer(tmp_path) / "chat_template.jinja"
    config = {
        "chat_template": "{{ bos_token }}{{ messages[0].content }}",
        "bos_token": {"content": "^"},
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    file.unlink()
    tokenizer = ChatTokenizer(tmp_path)
    assert tokenizer.decode(tokenizer.prompt_ids([{"role": "user", "content": "Hi"}])) == "^Hi"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_template_can_do_no_harm(tmp_path: Path, template: str) -> None:
    (save_byte_tokenizer(tmp_path) / "chat_template.jinja").write_text(template)
    tokenizer = ChatTokenizer(tmp_path)
    with pytest.raises(Exception, match=r"unsafe|refuses"):
        tokenizer.prompt_ids(ask())


@pytest.mark.parametrize("model", ["no/such-model", "missing.gguf", "/nowhere"])
def test_a_model_that_is_not_there(settings: Settings, model: str) -> None:
    with pytest.raises(ModelError, match=model):
        load_generator(settings.model_copy(update={"model": model, "runtime": "transformers"}))
