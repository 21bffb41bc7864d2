"""Questions and answers -> the chat's bubbles. Pure.

A bubble is read by the browser as Markdown, so each is HTML blocks without line ends, and everything
that comes from documents, questions or the model goes through `safe`. The component's sanitiser keeps
`class`, `id`, `value` and `title` of a button and drops `data-` and `aria-` attributes, so a button
says what it does in its value: `VERB:TURN`.

A marker's link is `#src-TURN-MARKER`: an older answer's `[1]` is not the newest one's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rag.records import Answer, AnswerSentence, Citation, Conflict, Hit
from ui.render.text import block, one_line, safe
from ui.strings import Say

__all__ = [
    "answer_html",
    "confidence_word",
    "draft_html",
    "failure_html",
    "question_html",
    "stage_html",
    "stopped_html",
]

_SNIPPET = 240  # code points of a passage that a refusal shows
_CLOSEST = 3  # passages that a refusal shows
_ORIGIN = re.compile(r" \(“[^”]*”[^()]*\)$")  # which a claim ends with, and which stands below it
_VERBS = ("copy", "link", "export", "again", "edit", "up", "down")


def confidence_word(confidence: float) -> str:
    """A probability as a word's key: "high" from 0.85, "fair" from 0.65, "low" below."""
    return "high" if confidence >= 0.85 else "fair" if confidence >= 0.65 else "low"


def question_html(question: str) -> str:
    """What was asked, line breaks kept."""
    return block("fn-question", safe(question.strip()))


def stage_html(name: str, say: Say, detail: str = "") -> str:
    """The line that says what is being done now."""
    number = {"n": int(detail)} if detail.isdecimal() else {}
    text = say(f"answer.stage.{name}", **number)
    return block("fn-stage", f'<span class="fn-pulse"></span>{safe(text)}')


def draft_html(text: str, say: Say, stage: str = "writing", detail: str = "") -> str:
    """The unchecked text so far, above the line that says what is being done."""
    written = block("fn-draft", safe(text.strip())) if text.strip() else ""
    return written + stage_html(stage, say, detail)


def stopped_html(text: str, turn: str, say: Say, *, restarted: bool = False) -> str:
    """What was there when it was stopped, shown as unchecked; `restarted`: the server was."""
    body = block("fn-draft", safe(text.strip())) if text.strip() else ""
    told = say("answer.restarted" if restarted else "answer.stopped")
    again = _actions(turn, say, ("again", "edit"))
    return body + block("fn-notice", f"<p>{safe(told)}</p>") + again


def failure_html(message: str, turn: str, say: Say) -> str:
    """An error, in one plain line, and how to try again."""
    head = f"<strong>{safe(say('answer.failed'))}</strong> {safe(message)}"
    return block("fn-notice fn-failure", head) + _actions(turn, say, ("again", "edit"))


def answer_html(answer: Answer, turn: str, say: Say, verdict: str = "") -> str:
    """A finished answer: the text with its markers, how far to trust it, and what to do with it.

    `turn` is the turn's identifier, of URL-safe characters; `verdict` is "up", "down" or "".
    """
    understood = _understood(answer, say)
    if answer.refused:
        parts = [_refusal(answer, turn, say)]
    elif not answer.sentences:  # a greeting: nothing was looked up, so nothing is to be proved
        return understood + block("fn-answer", safe(answer.text))
    else:
        parts = _answered(answer, turn, say)
    return "".join([understood, *parts, _actions(turn, say, _VERBS, verdict)])


def _answered(answer: Answer, turn: str, say: Say) -> list[str]:
    cited = {one.marker: one for one in answer.citations}
    claims = {claim.text for conflict in answer.conflicts for claim in conflict.claims}
    # Where the answer is the sides themselves, they stand next to each other and once.
    even = {one.text for one in answer.sentences} <= claims
    parts = [] if even else [_body(answer, turn, cited, say)]
    if answer.missing:
        items = "".join(f"<li>{safe(one)}</li>" for one in answer.missing)
        head = f"<strong>{safe(say('answer.missing'))}</strong>"
        parts.append(block("fn-missing", f"{head}<ul>{items}</ul>"))
    parts += [_conflict(one, turn, cited, say) for one in answer.conflicts]
    parts += [block("fn-aside", safe(note)) for note in answer.notes]
    statuses = [one.status for one in answer.sentences]
    supported, total = statuses.count("supported"), len(statuses)
    mark = "✓" if supported == total else "◐"
    checked = say("answer.checked", supported=supported, n=total)
    return [*parts, _footer(answer, f"{mark} {checked}", "answer.confidence", say)]


def _refusal(answer: Answer, turn: str, say: Say) -> str:
    reason = answer.text.split(" The closest passages are in ", 1)[0]  # they stand below as cards
    head = f"<strong>{safe(say('answer.refused'))}</strong><p>{safe(reason)}</p>"
    cards = "".join(_card(hit, turn, say) for hit in answer.passages[:_CLOSEST])
    closest = f"<p>{safe(say('answer.closest'))}</p><ol>{cards}</ol>" if cards else ""
    footer = _footer(answer, say("answer.withheld"), "answer.confidence.refused", say)
    return block("fn-refusal", head + closest) + footer


def _card(hit: Hit, turn: str, say: Say) -> str:
    facts = [say("answer.page", page=hit.page)] if hit.page is not None else []
    facts += [hit.date] if hit.date else []
    where = f"<small>{safe(' · '.join(facts))}</small>" if facts else ""
    return (
        f'<li><a class="fn-passage" href="#src-{turn}-p{hit.rank}">'
        f"{safe(one_line(hit.title or hit.document))}</a>{where}"
        f"<span>{safe(one_line(hit.text, _SNIPPET))}</span></li>"
    )


def _understood(answer: Answer, say: Say) -> str:
    if answer.standalone_question.strip() in ("", answer.question.strip()):
        return ""
    told = say("answer.understood", question=one_line(answer.standalone_question))
    return block("fn-understood", safe(told))


def _footer(answer: Answer, checked: str, label: str, say: Say) -> str:
    word = confidence_word(answer.confidence)
    told = say(label, word=say(f"answer.{word}"), percent=round(100 * answer.confidence))
    seconds = answer.timings.total_s
    took = (
        f"<span>{safe(say('answer.seconds', seconds=f'{seconds:.1f}'))}</span>" if seconds else ""
    )
    confidence = f'<span class="fn-confidence fn-{word}">{safe(told)}</span>'
    return block("fn-footer", f"<span>{safe(checked)}</span>{confidence}{took}")


def _actions(turn: str, say: Say, verbs: tuple[str, ...], verdict: str = "") -> str:
    buttons = "".join(
        f'<button type="button" class="fn-act fn-act-{verb}{" fn-on" if verb == verdict else ""}" '
        f'value="{verb}:{turn}" title="{safe(say(f"answer.act.{verb}"))}">'
        f'<span class="fn-label">{safe(say(f"answer.act.{verb}"))}</span></button>'
        for verb in verbs
    )
    return block("fn-acts", buttons)


# The text


def _body(answer: Answer, turn: str, cited: Mapping[int, Citation], say: Say) -> str:
    """The text as paragraphs and lists, each sentence marked with its status."""
    blocks: list[tuple[str, list[str]]] = []
    at = 0
    for sentence in answer.sentences:
        found = _locate(sentence, answer.text, at)
        gap = answer.text[at : found[0]] if found else " "
        at = found[1] if found else at
        item = gap.rstrip().endswith("-") and (not blocks or "\n" in gap)
        if item or not blocks or "\n" in gap:
            blocks.append(("li" if item else "p", []))
        blocks[-1][1].append(_sentence(sentence, turn, cited, say))
    inner = "".join(f"<{tag}>{' '.join(parts)}</{tag}>" for tag, parts in blocks)
    return block("fn-answer", re.sub(r"(?:<li>.*?</li>)+", lambda m: f"<ul>{m[0]}</ul>", inner))


def _locate(sentence: AnswerSentence, text: str, at: int) -> tuple[int, int] | None:
    """Where a sentence stands in the answer's text, its markers (before the full stop) included."""
    body = sentence.text.rstrip(".!?")
    tail = sentence.text[len(body) :]
    pattern = re.escape(body) + r"(?:\s*\[\d+\])*" + re.escape(tail) + r"(?:\s*\[\d+\])*"
    found = re.compile(pattern).search(text, at)
    return found.span() if found else None


def _sentence(sentence: AnswerSentence, turn: str, cited: Mapping[int, Citation], say: Say) -> str:
    status = sentence.status
    markers = "".join(_marker(one, turn, status, cited, say) for one in sentence.citations)
    note = ""
    if status != "supported":
        why = safe(say(f"answer.why.{status}"))
        note = f'<span class="fn-note" title="{why}">{safe(say(f"answer.status.{status}"))}</span>'
    return f'<span class="fn-{status}">{safe(one_line(sentence.text))}</span>{markers}{note}'


def _marker(marker: int, turn: str, status: str, cited: Mapping[int, Citation], say: Say) -> str:
    citation = cited.get(marker)
    hover = say(f"answer.why.{status}")
    if citation:
        hover += f" “{one_line(citation.quote, 300)}” ({one_line(citation.title, 80)})"
    return (
        f'<a class="fn-marker fn-{status}" href="#src-{turn}-{marker}" title="{safe(hover)}">'
        f'<span class="fn-hidden">{safe(say("answer.source"))} </span>{marker}</a>'
    )


def _conflict(conflict: Conflict, turn: str, cited: Mapping[int, Citation], say: Say) -> str:
    """The sides next to each other, each with its sources and their dates."""
    sides = "".join(
        f'<li class="fn-side"><b>{safe(_ORIGIN.sub("", claim.text))}</b>'
        + "".join(_marker(one, turn, "supported", cited, say) for one in claim.citations)
        + "".join(f"<small>{fact}</small>" for fact in _origins(claim.citations, cited))
        + "</li>"
        for claim in conflict.claims
    )
    head = f"<strong>{safe(say('answer.conflict', about=conflict.about))}</strong>"
    return block("fn-conflict", f'{head}<ul class="fn-sides">{sides}</ul>')


def _origins(markers: tuple[int, ...], cited: Mapping[int, Citation]) -> list[str]:
    """Title and date of each document that is cited, once."""
    found = [cited[one] for one in markers if one in cited]
    named = {one.document: one for one in reversed(found)}
    return [
        safe(" · ".join(filter(None, (one_line(one.title or one.document, 70), one.date))))
        for one in reversed(named.values())
    ]
