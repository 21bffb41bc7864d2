"""Answers -> HTML for the chat and its source panel. Pure: knows no server, store or model.

Everything that comes from documents, file names, questions or the model is escaped by `safe`, and
nothing else writes untrusted text. The chat's bubbles are rendered as Markdown by the browser, so
`safe` also takes away what Markdown would read; each bubble is one HTML block without line breaks.

A citation's anchor is `src-TURN-MARKER`, because an older answer's `[1]` is not the newest one's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.records import Answer, AnswerSentence, Citation, Conflict, Document, Hit
from ui.excerpt import Excerpt, Highlight, excerpts

__all__ = [
    "answer_html",
    "confidence_words",
    "draft_html",
    "failure_html",
    "nothing_yet_html",
    "question_html",
    "safe",
    "sources_html",
    "stage_html",
    "stopped_html",
]

_SNIPPET = 240  # code points of a passage that a refusal shows in the chat
_CLOSEST = 3  # passages that a refusal shows

# Beyond & < > and quotes: all that Markdown, LaTeX, templates or automatic links could start from.
_ENTITIES = {
    **{ord(character): f"&#{ord(character)};" for character in "&<>\"'`*_~[]()!\\$#|{}:@=^"},
    **dict.fromkeys(range(32), "\ufffd"),
    **{code: f"&#{code};" for code in (9, 10)},
    **dict.fromkeys((11, 12, 13), " "),
    127: "\ufffd",
}
_WEB = re.compile(r"www(?=\.)", re.IGNORECASE)

_STAGES = {
    "queued": "Waiting for its turn",
    "loading": "Waiting for the model",
    "understanding": "Reading the question in context",
    "searching": "Searching the documents",
    "reading": "Reading {detail} passages",
    "writing": "Writing",
    "comparing": "Asking {detail} other sources the same",
    "checking": "Checking every sentence against its sources",
}

_STATUS = {
    "supported": "Supported: the cited passage holds what this sentence says.",
    "partial": "Partly supported: the cited passage holds only part of what this sentence says.",
    "unsupported": "Not supported: no passage was found that says this.",
}


def safe(text: str) -> str:
    """Untrusted text as HTML that can only ever be text, in Markdown as well.

    Every character that could open markup, a link, a formula or a template becomes a numeric entity,
    line ends too; control characters become U+FFFD.
    """
    return _WEB.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", text.translate(_ENTITIES))


def confidence_words(confidence: float) -> str:
    """A probability in words: "high" from 0.85, "fair" from 0.65, "low" below."""
    return "high" if confidence >= 0.85 else "fair" if confidence >= 0.65 else "low"


def question_html(question: str) -> str:
    """What was asked, line breaks kept."""
    return _block("fn-question", safe(question.strip()))


def stage_html(name: str, detail: str = "") -> str:
    """The line that says what is being done now."""
    text = _STAGES.get(name, name).replace("{detail}", detail)
    return _block("fn-stage", f'<span class="fn-pulse"></span>{safe(text)}')


def draft_html(text: str, stage: str = "writing") -> str:
    """The unchecked text so far, under a line that says so."""
    return _block("fn-draft", safe(text.strip())) + stage_html(stage)


def stopped_html(text: str) -> str:
    """What was there when the reader pressed stop: shown as unchecked."""
    body = _block("fn-draft", safe(text.strip())) if text.strip() else ""
    return body + _block("fn-notice", "Stopped. Nothing here was checked against the documents.")


def failure_html(message: str) -> str:
    """An error, in one plain line."""
    return _block("fn-notice fn-failure", f"<strong>No answer.</strong> {safe(message)}")


def nothing_yet_html() -> str:
    """The source panel before the first answer."""
    return (
        '<div class="fn-panel"><div class="fn-empty"><strong>Sources</strong>'
        "<p>Every sentence of an answer carries a number. Click it, and the passage that it rests on "
        "opens here, highlighted.</p></div></div>"
    )


def answer_html(answer: Answer, turn: int) -> str:
    """A finished answer as one chat bubble: the text with its markers, and how far to trust it."""
    parts = [_understood(answer)]
    parts += _refusal(answer, turn) if answer.refused else _answered(answer, turn)
    return "".join(parts)


def sources_html(answers: Sequence[tuple[int, Answer]], documents: Mapping[str, Document]) -> str:
    """The source panel: one section for each (turn, answer); only the last is open.

    `documents` holds the cited documents by id. Where one is missing, or no longer has the quote at
    its offsets, the stored quote is shown alone and the panel says so.
    """
    if not answers:
        return nothing_yet_html()
    last = answers[-1][0]
    sections = []
    for turn, answer in answers:
        names = "fn-turn fn-closest" if answer.refused else "fn-turn"
        closed = "" if turn == last else " hidden"
        section = _section(answer, turn, documents)
        sections.append(f'<section class="{names}" id="turn-{turn}"{closed}>{section}</section>')
    return f'<div class="fn-panel">{"".join(sections)}</div>'


# The bubble


def _answered(answer: Answer, turn: int) -> list[str]:
    if not answer.sentences:  # a greeting: nothing was looked up, so nothing is to be proved
        return [_block("fn-answer", safe(answer.text))]
    quotes = {one.marker: one.quote for one in answer.citations}
    parts = [_body(answer, turn, quotes)]
    if answer.missing:
        items = "".join(f"<li>{safe(one)}</li>" for one in answer.missing)
        parts.append(
            _block("fn-missing", f"<strong>Not in the documents:</strong><ul>{items}</ul>")
        )
    parts += [_conflict(one, turn, quotes) for one in answer.conflicts]
    parts += [_block("fn-aside", safe(note)) for note in answer.notes]
    statuses = [one.status for one in answer.sentences]
    supported, partly, total = statuses.count("supported"), statuses.count("partial"), len(statuses)
    mark = "✓" if supported == total else "◐"
    checked = (
        f"{mark} {supported} of {total} {'statement' if total == 1 else 'statements'} supported"
    )
    checked += f", {partly} partly" if partly else ""
    parts.append(_footer(answer, checked, "Confidence"))
    return parts


def _refusal(answer: Answer, turn: int) -> list[str]:
    reason = answer.text.split(" The closest passages are in ", 1)[0]  # they stand below as cards
    head = f"<strong>No answer in the documents.</strong><p>{safe(reason)}</p>"
    cards = "".join(_card(hit, turn) for hit in answer.passages[:_CLOSEST])
    closest = f"<p>The closest passages:</p><ol>{cards}</ol>" if cards else ""
    return [
        _block("fn-refusal", head + closest),
        _footer(answer, "No answer shown", "Confidence that none is there"),
    ]


def _card(hit: Hit, turn: int) -> str:
    title = safe(_one_line(hit.title or hit.document))
    return (
        f'<li><a class="fn-passage" href="#src-{turn}-p{hit.rank}">{title}</a>'
        f"{_where(hit.page, hit.date)}<span>{safe(_one_line(hit.text, _SNIPPET))}</span></li>"
    )


def _understood(answer: Answer) -> str:
    if answer.standalone_question.strip() in ("", answer.question.strip()):
        return ""
    return _block(
        "fn-understood", f"Understood as: “{safe(_one_line(answer.standalone_question))}”"
    )


def _footer(answer: Answer, checked: str, label: str) -> str:
    percent = round(100 * answer.confidence)
    words = confidence_words(answer.confidence)
    seconds = answer.timings.total_s
    took = f"<span>{seconds:.1f} s</span>" if seconds else ""
    return _block(
        "fn-footer",
        f"<span>{checked}</span>"
        f'<span class="fn-confidence fn-{words}">{label}: {words}, {percent}&#37;</span>{took}',
    )


def _body(answer: Answer, turn: int, quotes: Mapping[int, str]) -> str:
    """The text as paragraphs and lists, each sentence marked with its status."""
    if not answer.sentences:
        return _block("fn-answer", f"<p>{safe(answer.text)}</p>")
    blocks: list[tuple[str, list[str]]] = []
    at = 0
    for sentence in answer.sentences:
        found = _locate(sentence, answer.text, at)
        gap = answer.text[at : found[0]] if found else " "
        at = found[1] if found else at
        item = gap.rstrip().endswith("-") and (not blocks or "\n" in gap)
        if item or not blocks or "\n" in gap:
            blocks.append(("li" if item else "p", []))
        blocks[-1][1].append(_sentence(sentence, turn, quotes))
    inner = "".join(f"<{tag}>{' '.join(parts)}</{tag}>" for tag, parts in blocks)
    return _block("fn-answer", re.sub(r"(?:<li>.*?</li>)+", lambda m: f"<ul>{m[0]}</ul>", inner))


def _locate(sentence: AnswerSentence, text: str, at: int) -> tuple[int, int] | None:
    """Where a sentence stands in the answer's text, its markers (before the full stop) included."""
    body = sentence.text.rstrip(".!?")
    tail = sentence.text[len(body) :]
    pattern = re.escape(body) + r"(?:\s*\[\d+\])*" + re.escape(tail) + r"(?:\s*\[\d+\])*"
    found = re.compile(pattern).search(text, at)
    return found.span() if found else None


def _sentence(sentence: AnswerSentence, turn: int, quotes: Mapping[int, str]) -> str:
    markers = "".join(_marker(one, turn, sentence.status, quotes) for one in sentence.citations)
    note = ""
    if sentence.status != "supported":
        words = "partly supported" if sentence.status == "partial" else "not supported"
        note = f'<span class="fn-note" title="{safe(_STATUS[sentence.status])}">{words}</span>'
    return (
        f'<span class="fn-{sentence.status}">{safe(_one_line(sentence.text))}</span>{markers}{note}'
    )


def _marker(marker: int, turn: int, status: str, quotes: Mapping[int, str]) -> str:
    quote = _one_line(quotes.get(marker, ""), 300)
    hover = f"{_STATUS.get(status, '')} “{quote}”" if quote else _STATUS.get(status, "")
    return (
        f'<a class="fn-marker fn-{status}" href="#src-{turn}-{marker}" title="{safe(hover)}"'
        f'><span class="fn-hidden">Source </span>{marker}</a>'
    )


def _conflict(conflict: Conflict, turn: int, quotes: Mapping[int, str]) -> str:
    sides = "".join(
        f"<li>{safe(claim.text)}"
        + "".join(_marker(one, turn, "supported", quotes) for one in claim.citations)
        + "</li>"
        for claim in conflict.claims
    )
    return _block(
        "fn-conflict", f"<strong>Sources disagree: {safe(conflict.about)}</strong><ul>{sides}</ul>"
    )


# The panel


def _section(answer: Answer, turn: int, documents: Mapping[str, Document]) -> str:
    asked = f'<p class="fn-asked" dir="auto">{safe(_one_line(answer.question, 160))}</p>'
    if answer.refused:
        return f"<h2>Closest passages</h2>{asked}" + "".join(
            _passage(hit, turn) for hit in answer.passages[:_CLOSEST]
        )
    by_document: dict[str, list[Citation]] = {}
    for citation in answer.citations:
        by_document.setdefault(citation.document, []).append(citation)
    return f"<h2>Sources</h2>{asked}" + "".join(
        _source(citations, turn, documents.get(name)) for name, citations in by_document.items()
    )


def _source(citations: Sequence[Citation], turn: int, document: Document | None) -> str:
    """One document: its head, then the text around all its citations, neighbours merged."""
    first = citations[0]
    intact = document is not None and all(
        document.text[one.start : one.end] == one.quote for one in citations
    )
    if document is not None and intact:
        highlights = [Highlight(str(one.marker), one.start, one.end) for one in citations]
        found = excerpts(document.text, highlights)
        text = "".join(_excerpt(one, turn, document) for one in found)
        # A passage may cross pages: the document knows the page that the quote itself is on.
        numbers = {document.page_at(one.start) for one in citations}
    else:
        numbers = {one.page for one in citations}
        text = (
            '<p class="fn-changed">This document has changed since: only the quotes are shown.</p>'
        )
        for one in citations:
            quoted = [Highlight(str(one.marker), 0, len(one.quote))]
            text += _excerpt(Excerpt(one.quote, 0, len(one.quote), tuple(quoted)), turn, None)
    pages = sorted(number for number in numbers if number is not None)
    return _article(first.title, first.document, pages, first.date, text)


def _passage(hit: Hit, turn: int) -> str:
    quoted = Highlight(f"p{hit.rank}", 0, len(hit.text))
    text = _excerpt(Excerpt(hit.text, 0, len(hit.text), (quoted,)), turn, None)
    pages = [] if hit.page is None else [hit.page]
    return _article(hit.title, hit.document, pages, hit.date, text)


def _article(title: str, name: str, pages: Sequence[int], date: str | None, text: str) -> str:
    facts = [safe(_one_line(name))] if title and title != name else []
    if pages:
        facts.append(("page " if len(pages) == 1 else "pages ") + ", ".join(map(str, pages)))
    if date:
        facts.append(safe(date))
    return (
        f'<article class="fn-source"><h3 dir="auto">{safe(_one_line(title or name))}</h3>'
        f'<p class="fn-facts">{" · ".join(f"<bdi>{fact}</bdi>" for fact in facts)}</p>{text}</article>'
    )


def _excerpt(excerpt: Excerpt, turn: int, document: Document | None) -> str:
    """Text with its highlights; each marker's first piece carries the anchor."""
    named: set[str] = set()
    pieces: list[str] = []
    for text, labels in excerpt.pieces():
        new = [label for label in labels if label not in named]
        named.update(new)
        for label in new:
            shown = f'<span class="fn-number">{safe(label)}</span>' if label.isdigit() else ""
            pieces.append(
                f'<span class="fn-anchor" id="src-{turn}-{label}" tabindex="-1">{shown}</span>'
            )
        cites = " ".join(f"cite-{turn}-{label}" for label in labels)
        pieces.append(f'<mark class="{cites}">{safe(text)}</mark>' if labels else safe(text))
    path = document.headings_at(excerpt.highlights[0].start) if document else ()
    where = " › ".join(label for label in path if document and label != document.title)
    head = f'<p class="fn-heading" dir="auto">{safe(_one_line(where, 120))}</p>' if where else ""
    before = "… " if excerpt.start > 0 else ""
    after = " …" if document is not None and excerpt.end < len(document.text) else ""
    return f'{head}<blockquote dir="auto">{before}{"".join(pieces)}{after}</blockquote>'


# Small parts


def _where(page: int | None, date: str | None) -> str:
    facts = [f"page {page}"] if page is not None else []
    facts += [safe(date)] if date else []
    return f"<small>{' · '.join(facts)}</small>" if facts else ""


def _one_line(text: str, most: int | None = None) -> str:
    """Runs of white space as one space; cut at a word and closed with "…" beyond `most`."""
    line = " ".join(text.split())
    if most is None or len(line) <= most:
        return line
    return line[:most].rsplit(" ", 1)[0] + " …"


def _block(names: str, inner: str) -> str:
    return f'<div class="{names}" dir="auto">{inner}</div>'
