"""One page's conversation: from what it asks to the messages that it shows.

Checks who may ask what, stores the question before anything else, and draws every message from the
history. Knows nothing of Gradio but the shape of a message.
"""

from __future__ import annotations

import contextlib

from rag.errors import InputError
from rag.reader import LONGEST_QUESTION
from ui import asking
from ui.context import Context
from ui.desk import Job
from ui.history import Conversation, Turn
from ui.people import Person
from ui.render.answer import (
    answer_html,
    draft_html,
    failure_html,
    question_html,
    stage_html,
    stopped_html,
)
from ui.services import Services

__all__ = ["Talk"]

Message = dict[str, str]


class Talk:
    """What one page shows, after `begin`. `job` is the question in hand, if there is one."""

    def __init__(self, services: Services, person: Person, context: Context) -> None:
        self.job: Job | None = None
        self._services = services
        self._person = person
        self._context = context
        self._say = context.say
        self._conversation: Conversation | None = None
        self._earlier: list[Message] = []
        self._turn: Turn | None = None

    def begin(self, question: str) -> bool:
        """Do what the context says; True where a question was taken.

        Raises:
            InputError: the question, the conversation or the collection can't be had; nothing was
                stored, and what was typed should stay.
        """
        if self._context.do == "again":
            return self._again()
        if self._context.do == "ask" and question.strip():
            return self._ask(question.strip(), self._context.edit)
        self._open()
        return False

    def messages(self) -> list[Message]:
        """Every message of the conversation as it stands now."""
        if self._turn is None:
            return self._earlier
        return [*self._earlier, *self._drawn(self._turn)]

    def told(self) -> str:
        """Which conversation and turn the page shows, and whether an answer is on its way."""
        stage = "running" if self.job and not self.job.done else "done" if self.job else "open"
        conversation = self._conversation.id if self._conversation else ""
        collection = self._conversation.collection if self._conversation else ""
        turn = self._turn.id if self._turn else ""
        number = self._context.number  # so that the page sees a change each time
        return f'<i id="told:{conversation}:{turn}:{stage}:{collection}:{number}"></i>'

    def finish(self) -> None:
        """Take up what the history says of the question that was in hand."""
        if self._turn:
            with contextlib.suppress(InputError):  # deleted meanwhile: what was drawn stays
                self._turn = self._services.history.turn(self._person.name, self._turn.id)

    # Beginnings

    def _open(self) -> None:
        if not self._context.conversation:
            return
        turns = self._load(self._context.conversation)
        self._show(turns)
        if turns and turns[-1].status == "asked":
            self.job = self._services.desk.job(turns[-1].id)
            if self.job is None:  # it ended just now
                self.finish()

    def _ask(self, question: str, edit: str = "") -> bool:
        services = self._services
        if len(question) > LONGEST_QUESTION:
            raise InputError(self._say("answer.long", n=LONGEST_QUESTION))
        services.desk.admit(self._person.name)
        self._context.scope.scope()  # one that can't be met is told before anything is cut
        collection = self._context.collection
        turns: list[Turn] = []
        if self._context.conversation:
            turns = self._load(self._context.conversation)
            if edit:
                turns = self._cut(turns, edit)
        else:
            self._allowed(collection)
        self.job = asking.ask(
            services,
            self._person,
            question,
            self._context.scope,
            collection=collection,
            conversation=self._conversation,
            earlier=turns,
        )
        turn = self.job.turn
        if self._conversation is None:
            user = self._person.name
            self._conversation = services.history.conversation(user, turn.conversation)
        self._show([*turns, turn])
        return True

    def _again(self) -> bool:
        """Ask a turn's question once more: in its place where it is the last, else at the end."""
        turn = self._services.history.turn(self._person.name, self._context.turn)
        context = {"conversation": turn.conversation, "scope": turn.scope, "do": "ask"}
        turns = self._services.history.turns(self._person.name, turn.conversation)
        last = bool(turns) and turns[-1].id == turn.id
        self._context = Context.model_validate(self._context.model_dump() | context)
        return self._ask(turn.question, turn.id if last else "")

    def _cut(self, turns: list[Turn], edit: str) -> list[Turn]:
        """The turns before the one that is replaced; it and what follows are removed."""
        found = next((one for one in turns if one.id == edit), None)
        if found is None:
            return turns
        kept = [one for one in turns if one.number < found.number]
        for turn in turns[len(kept) :]:
            self._services.desk.stop(turn.id)
        self._services.history.cut(self._person.name, found.conversation, found.number)
        return kept

    def _load(self, conversation: str) -> list[Turn]:
        user = self._person.name
        self._conversation = self._services.history.conversation(user, conversation)
        try:
            self._allowed(self._conversation.collection)
        except InputError:
            self._conversation = None
            raise
        return self._services.history.turns(user, conversation)

    def _allowed(self, collection: str) -> None:
        if collection not in self._services.library.names(self._person):
            raise InputError(self._say("answer.nocollection", name=collection))

    # Drawing

    def _show(self, turns: list[Turn]) -> None:
        self._earlier = [message for turn in turns[:-1] for message in self._drawn(turn)]
        self._turn = turns[-1] if turns else None

    def _drawn(self, turn: Turn) -> list[Message]:
        return [
            {"role": "user", "content": question_html(turn.question)},
            {"role": "assistant", "content": self._below(turn)},
        ]

    def _below(self, turn: Turn) -> str:
        """What stands below a question now."""
        say = self._say
        if turn.answer is not None:
            return answer_html(turn.answer, turn.id, say, turn.verdict)
        if turn.status == "failed":
            note = say("answer.inside") if turn.note == "inside" else turn.note
            return failure_html(note, turn.id, say)
        if turn.status == "stopped":
            restarted = turn.note == "restart"
            draft = "" if restarted else turn.note
            return stopped_html(draft, turn.id, say, restarted=restarted)
        job = self.job
        if job is None or job.turn.id != turn.id:
            return stage_html("loading", say)
        stage, detail = job.at
        if stage == "queued":
            stage, detail = ("queued", str(job.before)) if job.before else ("loading", "")
            return stage_html(stage, say, detail)
        return draft_html(job.draft, say, stage, detail)
