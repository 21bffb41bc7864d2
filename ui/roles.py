"""What people may be in the chat. Apart from `ui.people`, so that a command can name it at no cost."""

from __future__ import annotations

from typing import Literal

__all__ = ["Role"]

Role = Literal["reader", "editor", "admin"]
"""A reader asks, an editor also adds and removes documents, an admin does everything."""
