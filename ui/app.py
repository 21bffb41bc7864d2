"""The conversation: Gradio components, and what happens between them.

The middle of the page. All else around it is drawn by the page's own script, which tells this part
what to do through a hidden text box and button (`ui/js/bridge.js`), and hears through `told` which
conversation is open. The page keeps no answers: every message is read from the history, so a restart
or a reload loses nothing.

Everything is shown by components that sanitise (Chatbot, Markdown): `gr.HTML` does not, and needs
`unsafe-eval`, which the page's Content-Security-Policy withholds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from rag.errors import InputError, RagError
from rag.reader import LONGEST_QUESTION
from ui.context import Context, parse
from ui.desk import Busy
from ui.guard import person_of
from ui.people import Person
from ui.services import Services
from ui.talk import Talk

__all__ = ["build"]

_POLL_S = 0.05
_SETTLED_S = 0.4
_BEAT_S = 0.1  # the least time between two pictures of a growing answer

Updates = tuple[Any, Any, Any]
"""For the box, the chat and `told`."""


def build(services: Services) -> gr.Blocks:
    """The Gradio part of the page."""
    # By session: the request that its page shows, whose number rises; older ones give way.
    current: dict[str, Context] = {}

    async def converse(person: Person, context: Context, session: str) -> AsyncIterator[Updates]:
        late = session in current and current[session].number > context.number
        if late and context.do != "ask":  # but nothing that was asked is ever dropped
            return
        current[session] = context
        talk = Talk(services, person, context)
        try:
            try:
                typed = await asyncio.to_thread(talk.begin, context.question)
            except RagError as error:
                gr.Warning(_told(error, context), title="")
                yield _box(busy=False), gr.skip(), gr.skip()
                return
            if current.get(session) is not context:
                return
            busy = talk.job is not None
            cleared = {"value": ""} if typed else {}
            yield _box(busy=busy, **cleared), talk.messages(), talk.told()
            if talk.job is None:
                # What an older request sent may arrive after this: the box is said again.
                await asyncio.sleep(_SETTLED_S)
                if current.get(session) is context:
                    yield _box(busy=False), gr.skip(), gr.skip()
                return
            with services.desk.watch(talk.job) as job:
                shown = -1
                while not job.done:
                    if job.version != shown:
                        shown = job.version
                        yield gr.skip(), talk.messages(), gr.skip()
                        await asyncio.sleep(_BEAT_S)
                    await asyncio.sleep(_POLL_S)
                    if current.get(session) is not context:
                        return
            await asyncio.to_thread(talk.finish)
            yield _box(busy=False), talk.messages(), talk.told()
        finally:
            if current.get(session) is context:
                del current[session]

    async def submit(question: str, context: str, request: gr.Request) -> AsyncIterator[Updates]:
        asked = parse(context).model_copy(update={"do": "ask", "question": question})
        async for one in served(asked, request):
            yield one

    async def act(context: str, request: gr.Request) -> AsyncIterator[Updates]:
        async for one in served(parse(context), request):
            yield one

    async def served(context: Context, request: gr.Request) -> AsyncIterator[Updates]:
        async for one in converse(person_of(request), context, str(request.session_hash)):
            yield one
        # Gradio sends what came last once more, when another conversation may be shown.
        yield gr.skip(), gr.skip(), gr.skip()

    def stop(context: str, request: gr.Request) -> None:
        person, asked = person_of(request), parse(context)
        with contextlib.suppress(InputError):  # deleted meanwhile
            for turn in services.history.turns(person.name, asked.conversation)[-1:]:
                services.desk.stop(turn.id)

    with gr.Blocks(title="Footnote", fill_height=True, fill_width=True) as blocks:
        chat = gr.Chatbot(
            elem_id="fn-chat",
            label="Conversation",
            show_label=False,
            container=False,
            height="100%",
            scale=1,
            layout="panel",
            latex_delimiters=[],
            buttons=[],
            feedback_options=None,
            allow_tags=False,
            allow_file_downloads=False,
            group_consecutive_messages=False,
        )
        gr.Markdown('<div id="fn-chips"></div>', elem_id="fn-chips-row")
        box = gr.Textbox(
            elem_id="fn-box",
            label="Question",
            show_label=False,
            submit_btn=True,
            max_lines=6,
            max_length=LONGEST_QUESTION,
        )
        context = gr.Textbox(elem_id="fn-context", label="context", visible="hidden")
        go = gr.Button("go", elem_id="fn-go", visible="hidden")
        told = gr.Markdown(elem_id="fn-told", visible="hidden", latex_delimiters=[])

        event: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": None,
            "trigger_mode": "multiple",
        }
        shown = [box, chat, told]
        box.submit(submit, [box, context], shown, **event)
        go.click(act, context, shown, **event)
        box.stop(stop, context, None, queue=False, show_progress="hidden", api_visibility="private")
    blocks.queue(api_open=False, default_concurrency_limit=None)
    return blocks


def _told(error: RagError, context: Context) -> str:
    """An error in the reader's words."""
    if isinstance(error, Busy):
        return context.say(f"answer.limit.{error.limit}", n=error.number)
    return str(error)


def _box(*, busy: bool, **fields: Any) -> Any:
    return gr.update(submit_btn=not busy, stop_btn=busy, **fields)
