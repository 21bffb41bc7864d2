"""Untrusted text as HTML that can only ever be text. Pure.

`esc` is for fragments that the browser parses as HTML. `safe` is for the chat's bubbles, which the
browser parses as Markdown first: it takes away all that Markdown could read as well. Nothing else
writes untrusted text into a page.
"""

from __future__ import annotations

import html
import re

__all__ = ["block", "esc", "one_line", "safe"]

_CONTROLS = {
    **dict.fromkeys(range(32), "\ufffd"),
    **{code: chr(code) for code in (9, 10)},
    **dict.fromkeys((11, 12, 13), " "),
    **dict.fromkeys(range(127, 160), "\ufffd"),
    # Halves of characters, which UTF-8 can't hold:
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
# Beyond & < > and quotes: all that Markdown, LaTeX, templates or automatic links could start from.
_ENTITIES = {ord(one): f"&#{ord(one)};" for one in "&<>\"'`*_~[]()!\\$#|{}:@=^\t\n\u2028\u2029"}
_WEB = re.compile(r"www(?=\.)", re.IGNORECASE)


def esc(text: str) -> str:
    """Text for an HTML text node or a quoted attribute; control characters become U+FFFD."""
    return html.escape(text.translate(_CONTROLS), quote=True)


def safe(text: str) -> str:
    """Text for a place that is read as Markdown and then as HTML.

    Every character that could open markup, a link, a formula or a template becomes a numeric entity,
    line ends too; control characters become U+FFFD.
    """
    plain = text.translate(_CONTROLS).translate(_ENTITIES)
    return _WEB.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", plain)


def one_line(text: str, most: int | None = None) -> str:
    """Runs of white space as one space; cut at a word and closed with "…" beyond `most`."""
    line = " ".join(text.split())
    if most is None or len(line) <= most:
        return line
    return line[:most].rsplit(" ", 1)[0] + " …"


def block(names: str, inner: str) -> str:
    """A division of these classes around HTML, without line ends: one Markdown block."""
    return f'<div class="{names}" dir="auto">{inner}</div>'
