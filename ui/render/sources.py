"""The panel of sources: what an answer rests on, each quote highlighted where it stands. Pure.

Shown is the snapshot that was taken with the answer, so that an old answer's sources stay as they
were. A citation's anchor is `src-TURN-MARKER`, because an older answer's `[1]` is not the newest
one's; of a refusal's passages `src-TURN-p1`. Knows no store, server or history's database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from rag.records import Answer, AnswerSentence, Claim, Conflict
from rag.scope import kind_of
from ui.history import Turn
from ui.render.passage import SIGNS, Passage, page_words, quote_of
from ui.render.text import esc, one_line
from ui.snapshot import Part, Source
from ui.strings import Say

__all__ = ["State", "pages_of", "panel_html"]

State = Literal["same", "changed", "gone"]
"""What became of a document since the answer."""

_ABOUT = re.compile(r" \(“[^”]*”(?:, [\d-]+)?\)$")  # a side's source, which stands below it anyway


def panel_html(
    turn: Turn, collection: str, states: Sequence[State], say: Say, *, shared: str = ""
) -> str:
    """The panel for one turn. `states` are those of `turn.sources`, in their order.

    `shared` is the token of the link through which somebody else sees this turn.
    """
    answer = turn.answer
    refused = answer is not None and answer.refused
    title = say("sources.closest" if refused else "sources.title")
    quotes = sum(len(part.excerpt.highlights) for one in turn.sources for part in one.parts)
    parts = [
        f'<div class="fn-sources{" fn-closest" if refused else ""}" data-turn="{esc(turn.id)}" '
        f'data-collection="{esc(collection)}">',
        _head(title, turn.question, quotes, say),
    ]
    if answer is None or not turn.sources:
        parts.append(f'<p class="fn-sources-none">{esc(say("sources.none"))}</p>')
    else:
        if refused:
            parts.append(f'<p class="fn-sources-why">{esc(say("sources.closest.why"))}</p>')
        panel = _Panel(turn.id, answer, shared, say)
        parts += [panel.conflict(one) for one in answer.conflicts]
        pairs = zip(turn.sources, states, strict=True)
        parts += [panel.source(at, one, state) for at, (one, state) in enumerate(pairs)]
    return "".join(parts) + "</div>"


def pages_of(answer: Answer, part: Part) -> list[int]:
    """The pages that a part's highlights begin on, in order: a part may run across pages."""
    held = {one.label for one in part.excerpt.highlights}
    pages = {one.page for one in answer.citations if str(one.marker) in held}
    return sorted(page for page in {*pages, part.page} if page is not None)


def _head(title: str, question: str, quotes: int, say: Say) -> str:
    arrows = ""
    if quotes:
        arrows = (
            f'<div class="fn-sources-arrows" role="group" aria-label="{esc(say("sources.walk"))}">'
            + _icon("sources.previous", "‹", "[", say)
            + f'<span class="fn-sources-at">{esc(say("sources.count", n=quotes))}</span>'
            + _icon("sources.next", "›", "]", say)
            + "</div>"
        )
    back = (
        '<button type="button" class="fn-button fn-quiet" data-do="sources.back">'
        f'<span aria-hidden="true">↩</span> <span>{esc(say("sources.back"))}</span></button>'
    )
    return (
        f'<header class="fn-sources-head"><div><h2 tabindex="-1">{esc(title)}</h2>{arrows}{back}</div>'
        f'<p class="fn-asked" dir="auto">{esc(one_line(question, 160))}</p></header>'
    )


def _icon(action: str, sign: str, key: str, say: Say) -> str:
    return (
        f'<button type="button" class="fn-button fn-quiet" data-do="{action}" '
        f'aria-keyshortcuts="{key}" title="{esc(say(action))} ({key})">'
        f'<span aria-hidden="true">{sign}</span>'
        f'<span class="fn-hidden">{esc(say(action))}</span></button>'
    )


@dataclass(frozen=True, slots=True)
class _Panel:
    """What every piece of one turn's panel needs."""

    turn: str
    answer: Answer
    shared: str
    say: Say

    def conflict(self, conflict: Conflict) -> str:
        """The sides of a disagreement next to each other, the newest marked."""
        newest = self._newest(conflict.claims)
        sides = "".join(self._side(one, one is newest) for one in conflict.claims)
        about = esc(one_line(conflict.about))
        return (
            f'<section class="fn-claims"><h3>{esc(self.say("sources.differ"))} '
            f"<bdi>{about}</bdi></h3><ul>{sides}</ul></section>"
        )

    def source(self, at: int, source: Source, state: State) -> str:
        """One document: its head, then each part with what it proves."""
        kind = kind_of(source.media_type, source.document)
        parts = "".join(
            self._part(at, number, source, part, state) for number, part in enumerate(source.parts)
        )
        drawn = kind == "pdf" and state == "same"
        name = f"fn-source-{esc(self.turn)}-{at}"
        return (
            f'<article class="fn-source" aria-labelledby="{name}">'
            f'<h3 id="{name}" dir="auto">{esc(one_line(source.title or source.document))}</h3>'
            f"{self._facts(source, kind)}{self._switch() if drawn else ''}{parts}</article>"
        )

    # The head of a document

    def _facts(self, source: Source, kind: str) -> str:
        facts = [esc(self.say(f"sources.kind.{kind}"))]
        if source.document != source.title:
            facts.append(esc(one_line(source.document)))
        pages = sorted({page for part in source.parts for page in pages_of(self.answer, part)})
        if len(pages) > 1:
            key = "sources.slides" if kind == "pptx" else "sources.pages"
            facts.append(esc(self.say(key, pages=", ".join(map(str, pages)))))
        elif pages:
            facts.append(esc(page_words(kind, pages[0], self.say)))
        if source.date:
            facts.append(f'<time datetime="{esc(source.date)}">{esc(source.date)}</time>')
        shown = '<span aria-hidden="true"> · </span>'.join(f"<bdi>{fact}</bdi>" for fact in facts)
        return f'<p class="fn-facts">{shown}</p>'

    def _switch(self) -> str:
        buttons = "".join(
            f'<button type="button" class="fn-button fn-quiet" data-do="sources.view" '
            f'data-view="{view}" aria-pressed="{"true" if view == "page" else "false"}">'
            f"{esc(self.say('sources.view.' + view))}</button>"
            for view in ("page", "text")
        )
        label = esc(self.say("sources.view"))
        return f'<div class="fn-switch" role="group" aria-label="{label}">{buttons}</div>'

    # One part

    def _part(self, at: int, number: int, source: Source, part: Part, state: State) -> str:
        kind = kind_of(source.media_type, source.document)
        passage = Passage(self.turn, self.answer, source, part, self.say).html()
        changed = images = ""
        if state != "same":  # beside the quote, because a click leads past the document's head
            changed = f'<p class="fn-changed">{esc(self.say("sources." + state))}</p>'
        elif kind == "pdf":
            pages = pages_of(self.answer, part)
            images = "".join(self._image(at, number, source, page) for page in pages)
        return (
            f'<div class="fn-part">{self._where(part, kind)}{passage}{changed}'
            f"{self._proofs(source, part, state)}{images}</div>"
        )

    def _where(self, part: Part, kind: str) -> str:
        facts = [] if part.page is None else [esc(page_words(kind, part.page, self.say))]
        path = [] if kind == "csv" else list(part.heading)  # a csv's is its row of names
        if kind == "xlsx" and path:
            facts.append(esc(self.say("sources.sheet", name=path.pop(0))))
        if path:
            facts.append(esc(one_line(" › ".join(path), 160)))
        if not facts:
            return ""
        return f'<p class="fn-heading">{" · ".join(f"<bdi>{fact}</bdi>" for fact in facts)}</p>'

    def _image(self, at: int, number: int, source: Source, page: int) -> str:
        asked = {"page": str(page)} | ({"shared": self.shared} if self.shared else {})
        address = f"/page/{quote(self.turn, safe='')}/{at}/{number}.png?{urlencode(asked)}"
        name = one_line(source.document)
        alt = esc(self.say("sources.image", page=page, name=name))
        return (
            '<figure class="fn-page">'
            f'<button type="button" data-do="sources.zoom" title="{esc(self.say("sources.zoom"))}">'
            f'<img loading="lazy" decoding="async" alt="{alt}" src="{esc(address)}"></button>'
            f"<figcaption hidden>{esc(self.say('sources.image.gone'))}</figcaption></figure>"
        )

    # What the quotes of a part prove

    def _proofs(self, source: Source, part: Part, state: State) -> str:
        """Below a part: what its quotes support, quotes for the same sentences together."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for one in part.excerpt.highlights:
            said = tuple(
                at
                for at, sentence in enumerate(self.answer.sentences)
                if one.label in map(str, sentence.citations)
            )
            groups.setdefault(said, []).append(one.label)
        shown = "".join(
            self._proof(source, part, said, labels, state) for said, labels in groups.items()
        )
        return f'<ul class="fn-proofs">{shown}</ul>'

    def _proof(
        self, source: Source, part: Part, said: tuple[int, ...], labels: list[str], state: State
    ) -> str:
        numbers = "".join(f'<span class="fn-number">{esc(one)}</span>' for one in labels)
        if self.answer.refused:
            numbers = ""
        lines = [self._supports(self.answer.sentences[at]) for at in said]
        if not lines:
            lines = [self._claims(claim) for claim in self._claims_of(labels)]
        spans = [one for one in part.excerpt.highlights if one.label in labels]
        words = "\n".join(quote_of(part, label) for label in labels)
        tools = (
            f'<button type="button" class="fn-button" data-do="sources.copy" '
            f'data-quote="{esc(words)}">{esc(self.say("sources.copy"))}</button>'
        )
        if state != "gone" and not self.shared:  # a link's page has no reader of documents
            low, high = min(one.start for one in spans), max(one.end for one in spans)
            tools += (
                '<button type="button" class="fn-button" data-do="sources.read" '
                f'data-document="{esc(source.document)}" data-start="{low}" data-end="{high}">'
                f"{esc(self.say('sources.read'))}</button>"
            )
        return f'<li>{numbers}{"".join(lines)}<p class="fn-tools">{tools}</p></li>'

    def _supports(self, sentence: AnswerSentence) -> str:
        return (
            f'<p class="fn-proof"><span class="fn-verdict fn-{sentence.status}">'
            f'<span aria-hidden="true">{SIGNS[sentence.status]}</span> '
            f"{esc(self.say('sources.status.' + sentence.status))}</span> "
            f'{esc(self.say("sources.supports"))} <q dir="auto">{esc(one_line(sentence.text))}</q></p>'
        )

    def _claims(self, claim: Claim) -> str:
        return (
            f'<p class="fn-proof">{esc(self.say("sources.claims"))} '
            f'<q dir="auto">{esc(one_line(_ABOUT.sub("", claim.text)))}</q></p>'
        )

    def _claims_of(self, labels: Iterable[str]) -> list[Claim]:
        wanted = set(labels)
        claims = [claim for one in self.answer.conflicts for claim in one.claims]
        return [claim for claim in claims if wanted & set(map(str, claim.citations))]

    # The sides of a disagreement

    def _side(self, claim: Claim, newest: bool) -> str:
        mark = f' <strong class="fn-newest">{esc(self.say("sources.newest"))}</strong>'
        known = {one.marker: one for one in self.answer.citations}
        rows = []
        for one in (known[marker] for marker in claim.citations if marker in known):
            date = f" <time>{esc(one.date)}</time>" if one.date else ""
            rows.append(
                f'<li><a class="fn-marker" href="#src-{esc(self.turn)}-{one.marker}">'
                f'<span class="fn-hidden">{esc(self.say("sources.source"))} </span>{one.marker}</a> '
                f"<bdi>{esc(one_line(one.title or one.document, 80))}</bdi>{date}</li>"
            )
        return (
            f'<li class="fn-claim{" fn-claim-newest" if newest else ""}">'
            f'<p dir="auto">{esc(one_line(_ABOUT.sub("", claim.text)))}{mark if newest else ""}</p>'
            f"<ul>{''.join(rows)}</ul></li>"
        )

    def _newest(self, claims: Sequence[Claim]) -> Claim | None:
        """The side with the latest source, where every side has a date and one is the latest."""
        dates = {one.marker: one.date or "" for one in self.answer.citations}
        latest = [max((dates.get(at, "") for at in one.citations), default="") for one in claims]
        if not all(latest):
            return None
        first, *others = sorted(latest, reverse=True)
        # "2024" and "2024-05" may be the same day.
        if any(first.startswith(other) or other.startswith(first) for other in others):
            return None
        return claims[latest.index(first)]
