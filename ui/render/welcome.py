"""What stands in the middle before the first question. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ui.render.text import esc
from ui.strings import Say

__all__ = ["welcome_html"]


def welcome_html(
    documents: int,
    questions: Sequence[str],
    endpoint: str,
    may_edit: bool,
    say: Say,
    error: str = "",
) -> str:
    """A greeting, where questions go, and some to begin with; or how to get documents in."""
    where = (
        say("page.welcome.endpoint", endpoint=endpoint) if endpoint else say("page.welcome.home")
    )
    parts = [f"<h2>{esc(say('page.welcome.title'))}</h2>"]
    if error:
        parts.append(f'<p class="fn-notice fn-failure" role="alert">{esc(error)}</p>')
    elif documents:
        parts.append(f"<p>{esc(say('page.welcome.text'))} {esc(where)}</p>")
        parts.append(_questions(questions, say))
    else:
        parts.append(f"<p>{esc(say('page.welcome.empty'))}</p>")
        if may_edit:
            button = esc(say("page.welcome.add"))
            parts.append(
                '<p><button type="button" class="fn-button fn-primary" data-do="documents.show">'
                f"{button}</button></p>"
            )
    return "".join(parts)


def _questions(questions: Sequence[str], say: Say) -> str:
    if not questions:
        return ""
    items = "".join(
        f'<li><button type="button" class="fn-suggestion" dir="auto" data-question="{esc(one)}">'
        f"{esc(one)}</button></li>"
        for one in questions
    )
    return f'<p class="fn-try">{esc(say("page.welcome.try"))}</p><ul class="fn-tries">{items}</ul>'
