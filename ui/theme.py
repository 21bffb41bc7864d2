"""How the page looks, and what stands in its head: styles, strings and scripts, all of its own.

No font, style or script comes from outside.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from ui.strings import LANGUAGES, table

__all__ = ["SCRIPTS", "STYLES", "head", "icon_path", "script", "strings_html", "style", "theme"]

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace")

STYLES = ("base", "chat", "sources", "documents", "conversations")
SCRIPTS = (
    *("core", "shell", "bridge", "chat"),
    *("sources", "card", "documents", "uploads", "conversations", "actions"),
)


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
        body_background_fill="transparent",
        body_background_fill_dark="transparent",
        background_fill_primary_dark="#171d26",
        background_fill_secondary_dark="#1d2530",
        block_border_width="0px",
        block_shadow="none",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_text_color="#ffffff",
    )


def style() -> str:
    """The page's style sheets, one after the other."""
    return "\n".join(_file(f"css/{name}.css") for name in STYLES)


def script(names: tuple[str, ...] = SCRIPTS) -> str:
    """The page's scripts, one after the other."""
    return "\n".join(_file(f"js/{name}.js") for name in names)


def strings_html() -> str:
    """Every string of every language, for the scripts."""
    strings = json.dumps({name: table(name) for name in LANGUAGES}, ensure_ascii=False)
    inert = strings.replace("<", "\\u003c")
    return f'<script type="application/json" id="fn-strings">{inert}</script>'


def head() -> str:
    """What goes into the page's head. The styles come first: the frame is drawn before all else."""
    return (
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="same-origin">'
        f"<style>{style()}</style>{strings_html()}<script>{script()}</script>"
    )


def icon_path() -> Path:
    """The icon as a file, for the browser's tab."""
    return Path(__file__).with_name("icon.svg")


def _file(name: str) -> str:
    return resources.files("ui").joinpath(name).read_text("utf-8")
