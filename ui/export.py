"""Conversations as Markdown, Word or JSON, and one answer as plain text. Pure: knows no server.

Questions, titles, quotes and answers are untrusted: in Markdown they are escaped so that they stay
text when rendered, in Word they lose the characters that XML forbids.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from rag.records import Answer, Citation
from ui.history import Conversation, Turn

__all__ = ["conversation_docx", "conversation_json", "conversation_markdown", "turn_text"]

_STATUS = {"supported": "supported", "partial": "partly supported", "unsupported": "not supported"}

# Everything that XML 1.0 can't hold, and the invisible C1 controls.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# What Markdown, or one of its common extensions, reads anywhere or at the start of a line.
_ANYWHERE = re.compile(r"([\\`*_\[\]<>&#|~$^{}@])")
_LINKS = re.compile(r":(?=//)|(?<=www)\.|(?<==)=", re.IGNORECASE)
_START = re.compile(r"^([-+=:%])|^(\d+)([.)])")


def conversation_markdown(conversation: Conversation, turns: Sequence[Turn]) -> str:
    """The conversation as CommonMark, one section a turn."""
    lines = [f"# {_md(conversation.title)}", "", f"{_md(_about(conversation))}", ""]
    for turn in turns:
        lines += [f"## {turn.number}. {_md(turn.question)}", ""]
        for block in _blocks(turn):
            if block.items is None:
                lines += [_md(block.text), ""]
            else:
                lines += [f"**{_md(block.text)}**", ""] if block.text else []
                lines += [*(f"- {_md(item)}" for item in block.items), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def conversation_docx(conversation: Conversation, turns: Sequence[Turn]) -> bytes:
    """The conversation as a Word document, one section a turn."""
    from docx import Document as new_document

    made = new_document()
    title = _printable(conversation.title)
    made.core_properties.title = title[:255]  # the format's limit
    made.core_properties.author = ""
    made.core_properties.comments = ""
    made.add_heading(title, level=0)
    made.add_paragraph(_printable(_about(conversation)))
    for turn in turns:
        made.add_heading(f"{turn.number}. {_printable(turn.question)}", level=1)
        for block in _blocks(turn):
            paragraph = made.add_paragraph()
            paragraph.add_run(_printable(block.text)).bold = block.items is not None
            for item in block.items or ():
                made.add_paragraph(_printable(item), style="List Bullet")
    written = io.BytesIO()
    made.save(written)
    return written.getvalue()


def conversation_json(conversation: Conversation, turns: Sequence[Turn]) -> str:
    """The conversation as JSON; `answer` is what `Answer.to_dict` gives, or null."""
    whole = {
        "conversation": dataclasses.asdict(conversation),
        "turns": [_plain_turn(turn) for turn in turns],
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def turn_text(turn: Turn) -> str:
    """An answer for the clipboard: its text with markers, then one line per citation."""
    if turn.answer is None:
        return _ended(turn)
    lines = [turn.answer.text.strip()]
    lines += [""] if turn.answer.citations else []
    lines += [_citation(one, turn) for one in turn.answer.citations]
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, or a list under a line (which may be empty)."""

    text: str
    items: tuple[str, ...] | None = None


def _blocks(turn: Turn) -> Iterator[_Block]:
    """All that is to be said of a turn below its question."""
    answer = turn.answer
    if answer is None:
        yield from (_Block(line) for line in _ended(turn).split("\n") if line.strip())
        return
    if answer.standalone_question.strip() not in ("", answer.question.strip()):
        yield _Block(f"Understood as: {answer.standalone_question}")
    yield from (_Block(line) for line in answer.text.split("\n") if line.strip())
    if answer.sentences:
        yield _Block(
            "Checked",
            tuple(
                f"{_STATUS[one.status]}: {one.text}{_markers(one.citations)}"
                for one in answer.sentences
            ),
        )
    if answer.missing:
        yield _Block("Not in the documents", answer.missing)
    for conflict in answer.conflicts:
        sides = tuple(f"{claim.text}{_markers(claim.citations)}" for claim in conflict.claims)
        yield _Block(f"Sources disagree: {conflict.about}", sides)
    if answer.notes:
        yield _Block("Notes", answer.notes)
    if answer.citations:
        yield _Block("Sources", tuple(_full_citation(one, turn) for one in answer.citations))
    yield _Block(_trust(answer, turn))


def _ended(turn: Turn) -> str:
    """What there is to say of a turn without an answer."""
    if turn.status == "failed":
        return f"No answer. {turn.note}".strip() + "\n"
    if turn.status == "stopped" and turn.note not in ("", "restart"):
        return f"Stopped. Nothing here was checked against the documents:\n{turn.note}\n"
    return "Stopped.\n" if turn.status == "stopped" else "Not answered yet.\n"


def _about(conversation: Conversation) -> str:
    turns = f"{conversation.turns} {'question' if conversation.turns == 1 else 'questions'}"
    return f"Collection {conversation.collection}, {turns}, begun {conversation.created}"


def _trust(answer: Answer, turn: Turn) -> str:
    what = "Confidence that no answer is there" if answer.refused else "Confidence"
    by = f", {answer.model}" if answer.model else ""
    return f"{what}: {answer.confidence:.0%}{by}, asked {turn.asked}"


def _citation(one: Citation, turn: Turn) -> str:
    """`[1] title, page 3, heading, date: "quote"`."""
    return f"[{one.marker}] {', '.join(_where(one, turn))}: “{_line(one.quote)}”"


def _full_citation(one: Citation, turn: Turn) -> str:
    """As `_citation`, with the document's identifier and the quote's offsets."""
    title, *rest = _where(one, turn)
    named = [title] if title == one.document else [title, one.document]
    span = f"characters {one.start}-{one.end}"
    return f"[{one.marker}] {', '.join([*named, *rest, span])}: “{_line(one.quote)}”"


def _where(one: Citation, turn: Turn) -> list[str]:
    part = next(
        (
            part
            for source in turn.sources
            if source.document == one.document
            for part in source.parts
            if any(highlight.label == str(one.marker) for highlight in part.excerpt.highlights)
        ),
        None,
    )
    facts = [_line(one.title or one.document)]
    if one.page is not None:
        facts.append(f"page {one.page}")
    if part is not None and part.heading:
        facts.append(_line(" › ".join(part.heading)))
    if one.date:
        facts.append(one.date)
    return facts


def _markers(markers: Sequence[int]) -> str:
    return "".join(f" [{marker}]" for marker in markers)


def _plain_turn(turn: Turn) -> dict[str, Any]:
    return {
        "number": turn.number,
        "question": turn.question,
        "asked": turn.asked,
        "scope": turn.scope,
        "status": turn.status,
        "note": turn.note,
        "verdict": turn.verdict,
        "answer": turn.answer.to_dict() if turn.answer else None,
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _printable(text: str) -> str:
    """One line without what XML forbids."""
    return _line(_FORBIDDEN.sub("\ufffd", text))


def _md(text: str) -> str:
    """Untrusted text as one line of Markdown that renders as that text and nothing else."""
    line = _ANYWHERE.sub(r"\\\1", _printable(text))
    line = _LINKS.sub(lambda match: f"\\{match[0]}", line)
    return _START.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", line)
