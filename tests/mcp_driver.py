"""`footnote mcp` over the models of the tests, as a process of its own: `python mcp_driver.py …`."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from fakes import HashEmbedder

import ui.shelf
from rag.generate import Generation, Message
from ui.mcp_cli import mcp


class Reader:
    """Says when the memorandum was signed; `slow` waits for `go` before each word of a sentence."""

    name = "reader"

    def __init__(self, slow: bool = False) -> None:
        self.go = threading.Semaphore(0 if slow else 10_000)
        self.begun = threading.Event()
        self.stopped = threading.Event()
        self.at_once = self.most = 0

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **wishes: object
    ) -> Iterator[str]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        short = "shortest exact phrase" in messages[-1]["content"]
        into.withheld = 0.01
        text = (
            "5 December 1994" if short else "The Budapest Memorandum was signed on 5 December 1994."
        )
        try:
            for piece in re.findall(r"\s*\S+", text):
                if not short:
                    self.begun.set()
                    self.go.acquire(timeout=20)
                into.text += piece
                yield piece
        except GeneratorExit:
            self.stopped.set()
            raise
        finally:
            self.at_once -= 1


def talkative(made: Any) -> Any:
    """A loader of a library that talks, as Python and as C does it."""

    def load(settings: object) -> Any:
        print("loading, please wait", flush=True)
        os.write(1, b"a line of a C library\n")
        return made

    return load


if __name__ == "__main__":
    vars(ui.shelf).update(
        load_embedder=talkative(HashEmbedder()), load_generator=talkative(Reader())
    )
    app = typer.Typer()
    app.command()(mcp)
    app()
