"""One answer as a page of its own, for whoever has its link. Pure: knows no server or store.

The page works without the chat around it: the same styles, and of the scripts those that show sources.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rag.records import Answer
from ui.history import Conversation, Turn
from ui.render.answer import answer_html
from ui.render.text import esc, one_line
from ui.strings import Say

__all__ = ["missing_page", "shared_page"]

# Light or dark as chosen in the chat, before anything is drawn.
_PAINT = """(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("footnote-theme"); } catch { /* private window */ }
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark", dark);
})();"""
# There are no drawers here: the sources always stand beside the answer.
_START = 'Object.assign(fn, { drawer() {}, closeDrawers() {} }); fn.emit("ready");'


def shared_page(
    turn: Turn,
    answer: Answer,
    conversation: Conversation,
    token: str,
    *,
    asker: str,
    language: str,
    style: str,
    scripts: str,
    say: Say,
) -> str:
    """The page of `turn`, whose `answer` is shown as it was given.

    `asker` is whose question it was, "" where there are no accounts. `style` is CSS, and `scripts`
    are the elements that hold strings and scripts: the program's own text, put in as it is.
    """
    date = f'<time datetime="{esc(turn.asked)}">{esc(_date(turn.asked))}</time>'
    key = "shared.asked.by" if asker else "shared.asked"
    # The name goes in last and as text: nothing in it can stand for the date.
    asked = esc(say(key)).replace("{date}", date).replace("{name}", f"<bdi>{esc(asker)}</bdi>")
    facts = [
        asked,
        _fact(say("shared.collection"), "{collection}", conversation.collection),
        _fact(say("shared.generation"), "{generation}", str(answer.generation)),
    ]
    title = say("shared.title", question=one_line(turn.question, 120))
    body = f"""<main class="fn-shared" data-shared="{esc(token)}">
<h1 class="fn-shared-question" dir="auto">{esc(turn.question.strip())}</h1>
<p class="fn-shared-facts">{" · ".join(facts)}</p>
<section class="fn-shared-answer" aria-label="{esc(say("shared.answer"))}">
{answer_html(answer, turn.id, say)}</section>
<p class="fn-shared-kept">{esc(say("shared.kept"))}</p>
</main>
<aside id="fn-panel" aria-label="{esc(say("shared.sources"))}"></aside>
<div id="fn-status" role="status" aria-live="polite"></div><div id="fn-alerts" role="alert"></div>
{scripts}<script>{_START}</script>"""
    return _page(title, body, language, style, say)


def missing_page(language: str, style: str, say: Say) -> str:
    """What stands behind a link that leads nowhere, or nowhere for this reader."""
    title = say("shared.missing.title")
    body = f"""<main class="fn-shared">
<h1>{esc(title)}</h1><p>{esc(say("shared.missing.text"))}</p></main>"""
    return _page(f"{title} · Footnote", body, language, style, say)


def _page(title: str, body: str, language: str, style: str, say: Say) -> str:
    return f"""<!doctype html>
<html lang="{esc(language)}"><head><meta charset="utf-8"><title>{esc(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<link rel="icon" href="/favicon.ico"><style>{style}</style><script>{_PAINT}</script></head>
<body class="fn-shared-body">
<header class="fn-shared-header"><a class="fn-brand" href="/">
<img src="/favicon.ico" alt="" width="28" height="28"><span>Footnote</span></a>
<a class="fn-button fn-primary" href="/">{esc(say("shared.ask"))}</a></header>
{body}
</body></html>
"""


def _fact(sentence: str, place: str, value: str) -> str:
    return esc(sentence).replace(place, f"<bdi>{esc(value)}</bdi>")


def _date(asked: str) -> str:
    """`2026-03-01 14:05 UTC` of an ISO 8601 time."""
    return f"{datetime.fromisoformat(asked).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
