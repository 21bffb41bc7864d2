"""The page: Gradio components and what happens between them. All text comes from `ui.render`.

Everything is shown by components that sanitise (Chatbot, Markdown): `gr.HTML` does not, and needs
`unsafe-eval`, which the page's Content-Security-Policy withholds.

What a reader sees is kept in the page's session on the server: a tuple of `Turn`s. The browser sends
a question and button presses, never answers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from ui.desk import Desk, Turn
from ui.render import failure_html, nothing_yet_html, question_html, safe, stage_html

__all__ = ["STARTERS", "build"]

STARTERS = {
    "seeds": (
        "What was Ukraine promised in the Budapest Memorandum?",
        "What are the options for security guarantees?",
        "Which countries lead the demining coalition?",
        "Why did the Minsk agreements fail?",
    )
}
"""Questions to begin with, by the collection's name."""

_WAITING = 32  # questions that may wait for the model
_LONGEST = 4000  # code points of a question
_FULL = "Too many questions are waiting. Ask again in a moment."

Turns = tuple[Turn, ...]


def build(desk: Desk, collection: str, documents: int, endpoint: str = "") -> gr.Blocks:
    """The page over one collection of so many documents.

    `endpoint` is the model server that questions and passages are sent to, where there is one.
    """
    stops: dict[str, threading.Event] = {}  # of the pages that wait for an answer, by session

    def begin(question: str, turns: Turns, request: gr.Request) -> tuple[Any, Any, Any]:
        if not question.strip() or (turns and turns[-1].waiting):
            return gr.skip(), turns, gr.skip()
        stops[str(request.session_hash)] = threading.Event()
        turns = (*turns, Turn(question.strip()[: _LONGEST + 1], stage_html("queued")))
        return _box(busy=True, value=""), turns, _messages(turns)

    def begin_example(
        turns: Turns, request: gr.Request, chosen: gr.SelectData
    ) -> tuple[Any, Any, Any]:
        return begin(str(chosen.value["text"]), turns, request)

    def answer(turns: Turns, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        if not turns or not turns[-1].waiting:
            yield turns, gr.skip(), gr.skip()
            return
        session = str(request.session_hash)
        stop = stops.setdefault(session, threading.Event())
        *earlier, asked = turns
        with closing(desk.answer(asked.question, earlier, stop)) as growing:
            for turn in growing:
                if stops.get(session) is not stop:  # the conversation was cleared meanwhile
                    return
                now = (*earlier, turn)
                yield now, _messages(now), gr.skip()
        if now[-1].answer is not None:
            yield now, gr.skip(), desk.sources(now)

    def end(turns: Turns, request: gr.Request) -> tuple[Any, Any, Any]:
        stops.pop(str(request.session_hash), None)
        if turns and turns[-1].waiting:  # it never reached the model
            turns = (*turns[:-1], Turn(turns[-1].question, failure_html(_FULL), waiting=False))
        return _box(busy=False), turns, _messages(turns)

    def stop(request: gr.Request) -> Any:
        if running := stops.get(str(request.session_hash)):
            running.set()
        return _box(busy=True, placeholder="Stopping …")

    def clear(request: gr.Request) -> tuple[Any, Turns, list[Any], str]:
        if running := stops.pop(str(request.session_hash), None):
            running.set()
        return _box(busy=False, value=""), (), [], nothing_yet_html()

    with gr.Blocks(title="Footnote", fill_height=True, fill_width=True) as blocks:
        turns = gr.State(())
        with gr.Row(elem_id="fn-top", equal_height=True):
            gr.Markdown(_header(collection, documents), elem_id="fn-header")
            fresh = gr.Button("New conversation", elem_id="fn-new", size="sm", scale=0)
        with gr.Row(elem_id="fn-columns", scale=1):
            with gr.Column(scale=3, elem_id="fn-talk", min_width=320):
                chat = gr.Chatbot(
                    elem_id="fn-chat",
                    label="Conversation",
                    show_label=False,
                    container=False,
                    height="100%",
                    scale=1,
                    layout="panel",
                    placeholder=_welcome(endpoint),
                    examples=[{"text": one} for one in STARTERS.get(collection, ())],
                    latex_delimiters=[],
                    buttons=[],
                    feedback_options=None,
                    allow_tags=False,
                    allow_file_downloads=False,
                    group_consecutive_messages=False,
                )
                box = gr.Textbox(
                    elem_id="fn-box",
                    label="Your question",
                    show_label=False,
                    placeholder=_ASK,
                    submit_btn=True,
                    autofocus=True,
                    max_lines=6,
                    max_length=_LONGEST,
                )
            with gr.Column(scale=2, elem_id="fn-side", min_width=320):
                panel = gr.Markdown(nothing_yet_html(), elem_id="fn-sources", latex_delimiters=[])

        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        running = []
        for asked in (
            box.submit(begin, [box, turns], [box, turns, chat], queue=False, **hidden),
            chat.example_select(begin_example, turns, [box, turns, chat], queue=False, **hidden),
        ):
            answering = asked.then(
                answer,
                turns,
                [turns, chat, panel],
                concurrency_limit=1,
                concurrency_id="model",
                **hidden,
            )
            answering.then(end, turns, [box, turns, chat], queue=False, **hidden)
            running.append(answering)
        box.stop(stop, None, box, queue=False, **hidden)
        fresh.click(clear, None, [box, turns, chat, panel], cancels=running, queue=False, **hidden)
    blocks.queue(max_size=_WAITING, api_open=False, default_concurrency_limit=8)
    return blocks


_ASK = "Ask the documents …"


def _welcome(endpoint: str) -> str:
    where = (
        f"Questions and passages go to the model server at {safe(endpoint)}."
        if endpoint
        else "Nothing leaves this computer."
    )
    return (
        '<div class="fn-welcome"><h2>Ask your documents</h2>'
        "<p>Every sentence of an answer shows where it stands. What the documents do not say is not "
        f"guessed. {where}</p></div>"
    )


def _header(collection: str, documents: int) -> str:
    noun = "document" if documents == 1 else "documents"
    return (
        '<header class="fn-header"><img src="/favicon.ico" alt="" width="30" height="30">'
        "<h1>Footnote</h1>"
        f'<span class="fn-collection"><b>{safe(collection)}</b> · {documents} {noun}</span>'
        '<button type="button" id="fn-theme" title="Light or dark">◐</button></header>'
    )


def _messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    shown: list[dict[str, str]] = []
    for turn in turns:
        shown.append({"role": "user", "content": question_html(turn.question)})
        shown.append({"role": "assistant", "content": turn.html})
    return shown


def _box(*, busy: bool, placeholder: str = _ASK, **fields: Any) -> Any:
    return gr.update(
        submit_btn=not busy, stop_btn=busy, interactive=not busy, placeholder=placeholder, **fields
    )
