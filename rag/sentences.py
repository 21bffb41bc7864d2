"""Where the sentences of a text begin and end.

Pure: text in, spans out. A span is `(start, end)` in code points, half open, without the white space
around it; spans are ordered and never overlap. Headings, list items and table rows are sentences of
their own, because a citation that runs from a heading into the next line quotes nothing that anyone
wrote. Sentence rules come from `sentencex`; this module only decides which line ends are real.
"""

from __future__ import annotations

import re

import sentencex

__all__ = ["Span", "line_blocks", "sentence_spans"]

Span = tuple[int, int]

# What opens a line that stands alone: bullets, numbers, headings, table rows, quotes, key: value.
_OPENER = re.compile(
    r"\s*(?:[-*+•–‣▪·]\s|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s|#{1,6}\s|\||>|[-=_*]{3,}\s*$)"
)
_WIDEST_WRAP = 140
_LANGUAGE = "en"


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences of `text[start:end]`, as spans of `text`."""
    spans: list[Span] = []
    for block_start, block_end in line_blocks(text, start, len(text) if end is None else end):
        block = text[block_start:block_end]
        # A wrapped line end is white space to a sentence splitter, not a boundary.
        flat = block.replace("\n", " ")
        found = sentencex.get_sentence_boundaries(_LANGUAGE, flat)
        for boundary in found:
            span = _trim(
                text, block_start + boundary["start_index"], block_start + boundary["end_index"]
            )
            if span is not None:
                spans.append(span)
    return _join_stubs(text, spans)


def line_blocks(text: str, start: int, end: int) -> list[Span]:
    """Runs of lines that belong together: one line, or several that were wrapped to a width.

    A line end is a wrap where the next line's first word would not have fitted within the widest
    line of the paragraph; at any other line end the author ended something.
    """
    lines: list[Span] = []
    at = start
    while at < end:
        stop = text.find("\n", at, end)
        stop = end if stop < 0 else stop
        lines.append((at, stop))
        at = stop + 1
    blocks: list[Span] = []
    paragraph: list[Span] = []
    for line in [*lines, (end, end)]:
        if text[line[0] : line[1]].strip():
            paragraph.append(line)
            continue
        blocks.extend(_join_wrapped(text, paragraph))
        paragraph = []
    return blocks


def _join_wrapped(text: str, lines: list[Span]) -> list[Span]:
    width = max((end - start for start, end in lines), default=0)
    blocks: list[Span] = []
    for start, end in lines:
        if blocks and width <= _WIDEST_WRAP and _is_wrap(text, blocks[-1], (start, end), width):
            blocks[-1] = (blocks[-1][0], end)
        else:
            blocks.append((start, end))
    return blocks


def _is_wrap(text: str, block: Span, line: Span, width: int) -> bool:
    following = text[line[0] : line[1]]
    if _OPENER.match(following) or width < 40:
        return False
    last = text[block[0] : block[1]].rsplit("\n", 1)[-1]
    if last.lstrip().startswith(("#", "|")):
        return False
    return len(last.rstrip()) + 1 + len(following.split(maxsplit=1)[0]) > width


def _trim(text: str, start: int, end: int) -> Span | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _join_stubs(text: str, spans: list[Span]) -> list[Span]:
    """Join what no reader would call a sentence ("1.", "-", ")") to the neighbour on its line."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and "\n" not in text[joined[-1][0] : start]:
            before = text[joined[-1][0] : joined[-1][1]]
            if not _has_words(before) or not _has_words(text[start:end]):
                joined[-1] = (joined[-1][0], end)
                continue
        joined.append((start, end))
    return joined


def _has_words(text: str) -> bool:
    return any(len(word) > 1 and not word.isdigit() for word in re.findall(r"\w+", text))
