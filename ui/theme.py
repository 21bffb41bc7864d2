"""How the chat looks: a Gradio theme of system fonts and quiet colours, and the page's own files.

No font, style or script comes from outside.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

__all__ = ["head", "icon_path", "style", "theme"]

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace")


def theme() -> Any:
    """The `gradio.themes.Base` that the page uses, light and dark."""
    import gradio as gr

    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=[gr.themes.Font(name) for name in _SANS],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    ).set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#11161d",
        background_fill_primary_dark="#171d26",
        background_fill_secondary_dark="#1d2530",
        block_border_width="0px",
        block_shadow="none",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_text_color="#ffffff",
    )


def style() -> str:
    """The page's style sheet."""
    return _file("style.css")


def head() -> str:
    """What goes into the page's head: one script, inline."""
    return (
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="same-origin">'
        f"<script>{_file('chat.js')}</script>"
    )


def icon_path() -> Path:
    """The icon as a file, for the browser's tab."""
    return Path(__file__).with_name("icon.svg")


def _file(name: str) -> str:
    return resources.files("ui").joinpath(name).read_text("utf-8")
