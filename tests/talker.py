"""Asks the chat as its page does, over plain HTTP: Gradio's queue, and the stream of what happens."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from rag.generate import Generation, Message
from ui.sessions import COOKIE

__all__ = ["Fixed", "Talker", "Told"]


@dataclass(frozen=True)
class Told:
    """Which conversation and turn a page shows, at which stage, of which collection."""

    conversation: str
    turn: str
    stage: str
    collection: str


class Talker:
    """One page of one person. `token` is the session that the cookie holds; "" for nobody."""

    def __init__(self, address: str, token: str = "") -> None:
        self.http = httpx.Client(
            base_url=address,
            headers={"origin": address} | ({"cookie": f"{COOKIE}={token}"} if token else {}),
            timeout=60,
        )
        self.session = secrets.token_hex(6)
        self._functions: dict[str, int] = {}

    def function(self, element: str, event: str) -> int:
        """The index of what happens on an event of an element."""
        if not self._functions:
            config = self.http.get("/config").raise_for_status().json()
            named = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
            for one in config["dependencies"]:
                for target, what in one["targets"]:
                    self._functions[f"{named.get(target)}:{what}"] = one["id"]
        return self._functions[f"{element}:{event}"]

    def join(self, context: dict[str, Any], session: str | None = None) -> httpx.Response:
        """Press the hidden button with a context."""
        body = {
            "data": [json.dumps(context)],
            "fn_index": self.function("fn-go", "click"),
            "session_hash": session or self.session,
        }
        return self.http.post("/gradio_api/queue/join", json=body)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server sends to this page until it has no more to say."""
        path = f"/gradio_api/queue/data?session_hash={self.session}"
        with self.http.stream("GET", path) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def send(self, **context: Any) -> tuple[Told | None, list[str]]:
        """Do what a context says and wait for its end: what was told last, and all that was seen."""
        self.join(context).raise_for_status()
        seen = [json.dumps(one, ensure_ascii=False) for one in self.messages()]
        assert not any('"success": false' in one for one in seen), seen
        return told("\n".join(seen)), seen

    def ask(self, question: str, collection: str = "", conversation: str = "") -> Told:
        """Ask and wait for the answer."""
        fields = {"question": question, "collection": collection, "conversation": conversation}
        last, seen = self.send(do="ask", **fields)
        assert last is not None and last.stage == "done", seen
        return last

    def close(self) -> None:
        """Leave."""
        self.http.close()


def told(seen: str) -> Told | None:
    """The last thing told in what was seen."""
    found = re.findall(r"told:([\w-]*):([\w-]*):(\w+):([\w.-]*)", seen)
    return Told(*found[-1]) if found else None


@dataclass
class Fixed:
    """A generator that says `short` where a phrase is wanted and `text` else, in `seconds` in all."""

    short: str
    text: str
    seconds: float = 0.0
    name: str = "fixed"
    going: threading.Event = field(default_factory=threading.Event)

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: object
    ) -> Iterator[str]:
        """One reply, word by word."""
        prompt, wanted = messages[-1]["content"], bool(named.get("withhold"))
        if prompt.startswith("Here is a passage"):
            reply, wait = "none", 0.0
        else:
            reply, wait = self.reply(prompt, wanted), 0.0 if wanted else self.seconds
        if wanted:
            into.withheld = 0.02
        into.first_token_s = 0.001
        pieces = re.findall(r"\S+\s*", reply)[:max_tokens]
        self.going.set()
        for piece in pieces:
            time.sleep(wait / len(pieces))
            into.text += piece
            into.generated_tokens += 1
            into.logprobs.append(-0.01)
            yield piece

    def reply(self, prompt: str, short: bool) -> str:
        """What is said to a prompt."""
        if "rewritten:" in prompt:
            return prompt.split("User:")[-1].strip().splitlines()[0]
        return self.short if short else self.text
