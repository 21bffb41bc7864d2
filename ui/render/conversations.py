"""Conversations -> the list in the sidebar. Pure: knows no server, store or clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from urllib.parse import quote

from ui.history import Conversation
from ui.render.text import esc
from ui.strings import Say

__all__ = ["conversations_html", "period"]

Period = str
_WEEK = 7  # days before today that are not "older" yet


def period(updated: str, now: datetime) -> Period:
    """How long ago by the calendar of `now`'s time zone: "today", "yesterday", "week" or "older".

    `updated` is ISO 8601 with its zone. What a wrong clock puts into the future is of today.
    """
    days = (now.date() - datetime.fromisoformat(updated).astimezone(now.tzinfo).date()).days
    if days <= 1:
        return "yesterday" if days == 1 else "today"
    return "week" if days <= _WEEK else "older"


def conversations_html(
    conversations: Sequence[Conversation],
    *,
    now: datetime,
    collection: str,
    search: str,
    cut: bool,
    say: Say,
) -> str:
    """The conversations, latest first, grouped by the day of their last question.

    A row names its collection where that is not `collection` ("": no row does). `cut`: there are
    older ones that are not listed. The outer element's `data-said` is what a screen reader is told
    after a search.
    """
    if not conversations:
        key = "conversations.nomatch" if search.strip() else "conversations.empty"
        said = esc(say(key))
        none = f'<p class="fn-chats-none">{said}</p>'
        return f'<div class="fn-chats-list" data-said="{said}">{none}</div>'
    groups = groupby(conversations, key=lambda one: period(one.updated, now))
    inner = "".join(_group(name, rows, collection, say) for name, rows in groups)
    if cut:
        more = esc(say("conversations.more", n=len(conversations)))
        inner += f'<p class="fn-chats-none">{more}</p>'
    said = esc(say("conversations.count", n=len(conversations)))
    return f'<div class="fn-chats-list" data-said="{said}">{inner}</div>'


def _group(name: Period, rows: Iterable[Conversation], collection: str, say: Say) -> str:
    items = "".join(_row(one, collection, say) for one in rows)
    return (
        f'<section class="fn-chats-group" aria-labelledby="fn-chats-{name}">'
        f'<h3 id="fn-chats-{name}">{esc(say(f"conversations.{name}"))}</h3>'
        f"<ul>{items}</ul></section>"
    )


def _row(one: Conversation, collection: str, say: Say) -> str:
    where = ""
    if collection and one.collection != collection:
        where = f'<small class="fn-chat-collection"><bdi>{esc(one.collection)}</bdi></small>'
    key = esc(one.id)
    return (
        f'<li class="fn-chat" data-id="{key}">'
        f'<a class="fn-chat-link" href="/?c={quote(one.id, safe="")}" title="{esc(one.title)}" '
        f'data-do="conversations.open" data-id="{key}">'
        f'<bdi class="fn-chat-title" dir="auto">{esc(one.title)}</bdi>{where}</a>'
        f'<button type="button" class="fn-button fn-quiet fn-chat-menu" id="fn-chat-menu-{key}" '
        f'data-do="conversations.menu" data-id="{key}" aria-haspopup="menu" aria-expanded="false">'
        '<span aria-hidden="true">⋯</span><span class="fn-hidden">'
        f"{esc(say('conversations.actions', title=one.title))}</span></button></li>"
    )
