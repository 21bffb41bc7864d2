"""Train the reader adapter: the shortest phrase that answers, or "unanswerable".

    python -m eval.reader --data DIR --weights FOLDER --out rag/adapters/reader.safetensors

`DIR` holds `squad2`, `clapnq` and `ramdocs`; `FOLDER` is the model as `save_pretrained` writes it
(`footnote doctor` names the cache; runtime = transformers makes one). Rows are prompts as the program
really makes them: evidence chosen from retrieved passages. Everything is seeded. `eval.split`
says which articles and questions may be used; the others stay for measuring.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.text import answer_tokens
from eval.records import Question
from eval.split import is_held_out
from eval.suites import clapnq, ramdocs, squad
from rag import adapter as lora
from rag.collection import Collection, Retrieved
from rag.evidence import choose, source_sentences
from rag.generate import ChatTokenizer, Message
from rag.prompt import NO_ANSWER, Style, answer_messages
from rag.records import Document
from rag.settings import Settings, load_settings

__all__ = ["main"]

_SEED = 1
_RANK, _SCALE, _FIRST_LAYER, _RATE, _BATCH = 8, 2.0, 8, 3e-4, 4
# The schedule is cut off here, at a fifth of its highest rate: what follows changes little.
_STOP = 0.8
_BUDGETS = (110, 150, 200)
_MIX = {
    "answerable": 112,
    "adversarial": 64,
    "removed": 40,
    "off_topic": 16,
    "clapnq_no": 44,
    "clapnq_yes": 30,
    "clapnq_full": 40,
    "ramdocs_one": 36,
    "ramdocs_list": 18,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt and its reply; with `reply` None, only that it must not be "unanswerable"."""

    kind: str
    messages: list[Message]
    reply: str | None


def normalise(text: str) -> str:
    """Lower case words without articles and punctuation, padded, so that whole words are found."""
    return f" {' '.join(answer_tokens(text))} "


class _Rows:
    """Makes the rows of each kind."""

    def __init__(self, data: Path, settings: Settings) -> None:
        self.random = random.Random(_SEED)
        self.settings = settings
        self.suites = {
            "squad": squad.load(data / "squad2"),
            "clapnq": clapnq.load(data / "clapnq"),
            "ramdocs": ramdocs.load(data / "ramdocs"),
        }
        self.pool = Collection.temporary(self.suites["squad"].documents, settings)
        self.given = Collection.temporary([], settings, embedder=self.pool.embedder)

    def all(self) -> list[Row]:
        rows: list[Row] = []
        for kind, count in _MIX.items():
            made = getattr(self, f"_{kind}")()
            rows += [row for row, _ in zip(made, range(count), strict=False)]
        self.random.shuffle(rows)
        return rows

    def _questions(self, suite: str, keep: Callable[[Question], bool]) -> Iterator[Question]:
        found = [
            one for one in self.suites[suite].questions if not is_held_out(suite, one) and keep(one)
        ]
        self.random.shuffle(found)
        return iter(found)

    def _row(
        self,
        kind: str,
        text: str,
        found: Retrieved,
        reply: str | None,
        style: Style = "short",
        without: str = "",
    ) -> tuple[Row, str]:
        candidates = [c for c in found.candidates if c.stored.chunk.document != without]
        sentences = source_sentences(candidates, text, found.vector)
        evidence = choose(sentences, self.random.choice(_BUDGETS), found.count)
        seen = " ".join(item.text for item in evidence)
        return Row(kind, answer_messages(text, evidence, style), reply), normalise(seen)

    def _given(self, suite: str, names: Sequence[str] | None, question: str) -> Retrieved:
        documents: dict[str, Document] = {d.id: d for d in self.suites[suite].documents}
        self.given.put([documents[name] for name in names or ()], "given")
        return self.given.retrieve(question)

    def _answerable(self) -> Iterator[Row]:
        for one in self._questions("squad", lambda q: q.answerable is True):
            reply = one.gold.answers[0]
            row, seen = self._row(
                "answerable", one.question, self.pool.retrieve(one.question), reply
            )
            if normalise(reply) in seen and len(reply.split()) <= 12:
                yield row

    def _adversarial(self) -> Iterator[Row]:
        for one in self._questions("squad", lambda q: q.answerable is False):
            found = self.pool.retrieve(one.question)
            yield self._row("adversarial", one.question, found, NO_ANSWER)[0]

    def _removed(self) -> Iterator[Row]:
        """Answerable questions without their paragraph: close passages, none of which answers."""
        for one in self._questions("squad", lambda q: q.answerable is True):
            found = self.pool.retrieve(one.question)
            row, seen = self._row("removed", one.question, found, NO_ANSWER, without=one.cluster)
            if not any(normalise(answer) in seen for answer in one.gold.answers):
                yield row

    def _off_topic(self) -> Iterator[Row]:
        for one in self._questions("clapnq", lambda q: True):
            found = self.pool.retrieve(one.question)
            yield self._row("off_topic", one.question, found, NO_ANSWER)[0]

    def _clapnq_no(self) -> Iterator[Row]:
        for one in self._questions("clapnq", lambda q: q.answerable is False):
            found = self._given("clapnq", one.documents, one.question)
            yield self._row("clapnq_no", one.question, found, NO_ANSWER)[0]

    def _clapnq_yes(self) -> Iterator[Row]:
        for one in self._questions("clapnq", lambda q: q.answerable is True):
            found = self._given("clapnq", one.documents, one.question)
            yield self._row("clapnq_yes", one.question, found, None)[0]

    def _clapnq_full(self) -> Iterator[Row]:
        for one in self._questions("clapnq", lambda q: q.answerable is True):
            reply = min(one.gold.answers, key=len)
            if len(reply.split()) <= 60:
                found = self._given("clapnq", one.documents, one.question)
                reply = _detokenised(reply)
                yield self._row("clapnq_full", one.question, found, reply, "full")[0]

    def _ramdocs_one(self) -> Iterator[Row]:
        """One document a prompt: what it says, right or wrong, or nothing."""
        for one in self._questions("ramdocs", lambda q: True):
            name = self.random.choice(one.documents or ())
            golds = (*one.gold.complete, *one.gold.wrong)
            found = self._given("ramdocs", [name], one.question)
            text = normalise(next(d.text for d in self.suites["ramdocs"].documents if d.id == name))
            held = [gold for gold in golds if normalise(gold) in text]
            if len(held) == 1:
                yield self._row("ramdocs_one", one.question, found, held[0])[0]
            elif not held and self.random.random() < 0.5:
                yield self._row("ramdocs_one", one.question, found, NO_ANSWER)[0]

    def _ramdocs_list(self) -> Iterator[Row]:
        for one in self._questions("ramdocs", lambda q: len(q.gold.complete) > 1):
            found = self._given("ramdocs", list(one.gold.documents), f"What are: {one.question}")
            row, seen = self._row("ramdocs_list", one.question, found, "", "full")
            held = [gold for gold in one.gold.complete if normalise(gold) in seen]
            if len(held) > 1:
                question = row.messages[1]["content"].rpartition("\n")[0]
                form = (
                    "Give every item that the sources name, one per line, each starting with '- '."
                )
                messages = [row.messages[0], {"role": "user", "content": f"{question}\n{form}"}]
                yield Row(row.kind, messages, "\n".join(f"- {gold}" for gold in held))


def _detokenised(text: str) -> str:
    """Without the blanks before punctuation that CLAPNQ's text has."""
    for mark in (",", ".", ";", ":", "'s", "n't", ")"):
        text = text.replace(f" {mark}", mark)
    return text.replace("( ", "(").replace("`` ", "“").replace(" ''", "”")


def _train(rows: Sequence[Row], weights: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(_SEED)
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    model.requires_grad_(False)
    fresh = _fresh(model)
    lora.attach_torch(model, fresh)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.0)
    steps = -(-len(rows) // _BATCH)
    last = round(_STOP * steps)
    shape = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 6) * max(0.05, 1 - step / steps)
    )
    tokenizer = ChatTokenizer(weights)
    end = tokenizer.end_of_turn
    no = tokenizer.encode(NO_ANSWER)
    started = time.perf_counter()
    for step in range(last):
        total = 0.0
        for row in rows[step * _BATCH : (step + 1) * _BATCH]:
            prompt = tokenizer.prompt_ids(row.messages)
            reply = [*tokenizer.encode(row.reply), end] if row.reply is not None else no[:1]
            hidden = model.model(torch.tensor([prompt + reply[:-1]])).last_hidden_state[0]
            logits = model.lm_head(hidden[len(prompt) - 1 :]).log_softmax(-1)
            picked = logits[torch.arange(len(reply)), torch.tensor(reply)]
            loss = (
                -picked.mean() if row.reply is not None else -torch.log1p(-picked[0].exp() + 1e-6)
            )
            (loss / _BATCH).backward()
            total += float(loss.detach()) / _BATCH
            print(
                json.dumps(
                    {
                        "step": step,
                        "kind": row.kind,
                        "loss": round(float(loss.detach()), 4),
                        "tokens": len(prompt) + len(reply),
                    }
                ),
                flush=True,
            )
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        shape.step()
        optimiser.zero_grad()
        print(
            f"step {step + 1}/{steps} loss {total:.3f} {time.perf_counter() - started:.0f}s",
            flush=True,
        )
        if step % 10 == 9 or step == last - 1:
            lora.save(_trained(model, fresh), out)


def _fresh(model: Any) -> lora.Adapter:
    """A at random, B zero, so that training starts from the plain model."""
    generator = np.random.default_rng(_SEED)
    matrices = {}
    for layer in range(_FIRST_LAYER, len(model.model.layers)):
        for projection in lora.PROJECTIONS:
            linear = getattr(model.model.layers[layer].self_attn, projection)
            a = generator.normal(0, linear.in_features**-0.5, (_RANK, linear.in_features))
            b = np.zeros((linear.out_features, _RANK))
            matrices[layer, projection] = (a.astype(np.float32), b.astype(np.float32))
    return lora.Adapter(_SCALE, matrices, "fresh")


def _trained(model: Any, shape: lora.Adapter) -> lora.Adapter:
    matrices = {}
    for layer, projection in shape.matrices:
        linear = getattr(model.model.layers[layer].self_attn, projection)
        matrices[layer, projection] = (linear.a.detach().numpy(), linear.b.detach().numpy())
    return lora.Adapter(shape.scale, matrices, "trained")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the reader adapter.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows-only", action="store_true", help="print the rows, train nothing")
    chosen = parser.parse_args()
    rows = _Rows(chosen.data, load_settings()).all()
    if chosen.rows_only:
        for row in rows:
            print(
                json.dumps(
                    {"kind": row.kind, "prompt": row.messages[1]["content"], "reply": row.reply}
                )
            )
        return
    _train(rows, chosen.weights, chosen.out)


if __name__ == "__main__":
    main()
