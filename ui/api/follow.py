"""An answer on its way to whoever asked: awaited as a whole, or told in steps as it comes about.

Both stop the model when the client leaves, and say how it ended if there is no answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from rag.records import Answer
from ui.api.errors import Problem, of_error
from ui.desk import Desk
from ui.guard import Receive, Scope, Send
from ui.job import Closing, Job

__all__ = ["Awaited", "Streamed", "event"]

_BEAT_S = 10.0  # without news, a comment tells proxies and clients that the line is alive


def event(data: Any, name: str = "") -> str:
    """One server-sent event. JSON has no line ends outside of its strings, so it is one line."""
    named = f"event: {name}\n" if name else ""
    said = data if isinstance(data, str) else json.dumps(data, ensure_ascii=True)
    return f"{named}data: {said}\n\n"


class _Followed(Response, ABC):
    """A response that watches a job until it has ended or the client has left."""

    def __init__(self, desk: Desk, job: Job) -> None:
        super().__init__()
        self._desk = desk
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        news = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and this response with it
                loop.call_soon_threadsafe(news.set)

        leaving = asyncio.ensure_future(_left(receive))
        leaving.add_done_callback(lambda _: news.set())
        job = self._job
        job.told.append(tell)
        try:
            with self._desk.watch(job):
                await self._reply(scope, receive, send, _steps(job, news, leaving))
        finally:
            job.told.remove(tell)
            leaving.cancel()
            if not job.done:
                await asyncio.shield(run_in_threadpool(self._desk.stop, job.turn.id))

    @abstractmethod
    async def _reply(
        self, scope: Scope, receive: Receive, send: Send, steps: AsyncIterator[bool]
    ) -> None:
        """Send the response; `steps` are those of `_steps`."""


class Awaited(_Followed):
    """The answer as JSON, once it is there. `made` turns it into what is sent."""

    def __init__(self, desk: Desk, job: Job, made: Callable[[Answer], Mapping[str, Any]]) -> None:
        super().__init__(desk, job)
        self._made = made

    async def _reply(
        self, scope: Scope, receive: Receive, send: Send, steps: AsyncIterator[bool]
    ) -> None:
        async for _ in steps:
            pass
        if not self._job.done:
            return  # nobody is there to read it
        content = self._made(_answer_of(self._job))
        headers = {"server-timing": _timing(self._job)}
        await JSONResponse(content, headers=headers)(scope, receive, send)


class Streamed(_Followed):
    """Server-sent events. `tell` gives those that are new since it was last called, as text.

    `last` gives those that end the stream, `wrong` the one that says why there is no answer.
    """

    def __init__(
        self,
        desk: Desk,
        job: Job,
        tell: Callable[[Job], str],
        last: Callable[[Answer], AsyncIterator[str]],
        wrong: Callable[[Problem], str],
    ) -> None:
        super().__init__(desk, job)
        self._tell = tell
        self._last = last
        self._wrong = wrong

    async def _reply(
        self, scope: Scope, receive: Receive, send: Send, steps: AsyncIterator[bool]
    ) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"x-accel-buffering", b"no"),  # proxies pass events on as they come
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def say(text: str, more: bool = True) -> None:
            body = text.encode("utf-8", "replace")
            await send({"type": "http.response.body", "body": body, "more_body": more})

        async for news in steps:
            said = self._tell(self._job) if news else ": waiting\n\n"
            if said:
                await say(said)
        if self._job.done:
            try:
                async for text in self._last(_answer_of(self._job)):
                    await say(text)
            except Problem as problem:
                await say(self._wrong(problem))
        await say("", more=False)


def _answer_of(job: Job) -> Answer:
    """The answer of a job that has ended.

    Raises:
        Problem: there is none, and why.
    """
    if job.answer is not None:
        return job.answer
    if job.error is not None:
        raise of_error(job.error)
    if job.outcome == "stopped":
        if job.closing:
            raise of_error(Closing())
        raise Problem(409, "The question was stopped.", "stopped")
    raise Problem(500, "Something went wrong inside. The log of the service says what.")


async def _steps(
    job: Job, news: asyncio.Event, leaving: asyncio.Future[None]
) -> AsyncIterator[bool]:
    """True at the beginning and whenever something has changed, False now and then without news.

    Ends after the change with which the job is done, and at once when the client has left.
    """
    while not leaving.done():
        news.clear()
        done = job.done  # read first: what came before it will be told
        yield True
        if done:
            return
        while not leaving.done():
            try:
                async with asyncio.timeout(_BEAT_S):
                    await news.wait()
                break
            except TimeoutError:
                yield False


async def _left(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _timing(job: Job) -> str:
    """The header Server-Timing: milliseconds in line, of the model, of the embedder, and of it all."""
    spent = job.seconds()
    parts = {
        "queue": spent.get("queued", 0.0),
        "model": job.model_s,
        "embed": job.embed_s,
        "job": sum(spent.values()),
    }
    return ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in parts.items())
