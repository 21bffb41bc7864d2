"""The service over real HTTP on loopback, with stand-ins for the two models."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from fakes import TRUSTING, HashEmbedder
from talker import Fixed

from rag.collection import Collection
from rag.records import Document
from rag.settings import Settings
from ui.people import People, Role
from ui.server import bind, mount, server
from ui.services import Services, opened
from ui.sessions import COOKIE

__all__ = ["PASSWORD", "SAID", "TEXT", "WHAT", "Several", "Served", "serving"]

TEXT = "The toll of the old bridge is nine crowns. It was built in 1904 by Ada Stone.\n"
WHAT = "What is the toll of the old bridge?"
SAID = "The toll of the old bridge is nine crowns."
PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Several(Fixed):
    """A `Fixed` that several threads may use at once."""

    concurrent = True


@dataclass
class Served:
    """A running service. `app` is what stands behind the guard."""

    address: str
    services: Services
    model: Any
    app: Any
    server: Any
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, user: str = "", *, session: bool = False, **more: Any) -> httpx.Client:
        """A client of a user's, by key or by session; of nobody's where none is named."""
        headers = dict(more.pop("headers", {}))
        if user and session:
            token = self.services.sessions.begin(user)
            headers |= {"cookie": f"{COOKIE}={token}", "origin": self.address}
        elif user:
            headers["authorization"] = f"Bearer {self.key(user)}"
        return httpx.Client(base_url=self.address, headers=headers, timeout=30, **more)

    def key(self, user: str) -> str:
        """A user's key, made at first use."""
        if user not in self.keys:
            self.keys[user] = self.services.keys.add(f"{user}-key", user)
        return self.keys[user]

    def read(self, collection: str) -> None:
        """Wait until what was uploaded is read."""
        for task in self.services.library.tasks(collection):
            assert task.ended.wait(30)


@contextmanager
def serving(
    folder: Path,
    *,
    model: Any = None,
    chat: bool = False,
    people: dict[str, tuple[Role, list[str]]] | None = None,
    collections: dict[str, dict[str, str]] | None = None,
    patience: dict[str, float] | None = None,
    **values: Any,
) -> Iterator[Served]:
    """A service over `collections` ({name: {file: text}}), with accounts where `people` are given."""
    fixed = {"collection": "papers", "parse_memory_mb": 2048, **TRUSTING}
    settings = Settings(indexes=folder / "indexes", **{**fixed, **values})
    embedder = HashEmbedder()
    for name, files in (collections or {"papers": {"toll.txt": TEXT}}).items():
        with Collection.open(name, settings, create=True, embedder=embedder) as made:
            made.put([Document(file, text) for file, text in files.items()], "given")
    accounts = People(settings.chat_folder / "people.json", hasher=QUICK)
    for name, (role, groups) in (people or {}).items():
        accounts.add(name, PASSWORD, role, groups)
    model = model or Fixed("nine crowns", SAID)
    with opened(settings, embedder=embedder, model=model) as services:
        guard = mount(services, loopback=not people, chat=chat, service=True, **patience or {})
        listener, port = bind("127.0.0.1", 0)
        running = server(guard, services.desk.drain, 3)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{port}"
        keys = {name: services.keys.add(f"{name}-key", name) for name in people or {}}
        try:
            yield Served(address, services, model, guard, running, keys)
        finally:
            running.should_exit = True
            thread.join(15)
            listener.close()
