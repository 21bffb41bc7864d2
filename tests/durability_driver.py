"""What the durability tests run in processes of their own, to be killed, starved or raced.

A document's text follows from its name and version, so whoever reads it can tell whether it is whole.
"""

from __future__ import annotations

import json
import random
import re
import signal
import time
import traceback
from pathlib import Path
from typing import Any

import faiss  # noqa: F401  (loaded before the fork, so that a child starts at once)
from fakes import HashEmbedder

from rag import index, part
from rag.collection import Collection
from rag.errors import CollectionError
from rag.records import Document
from rag.settings import Settings

State = dict[str, int]
"""Version by document identifier."""


LIMITS = ((index, "FEW", 25), (part, "FLAT_ROWS", 120), (part, "SCANNED", 20))
"""So low that bases are made, followed, extended and outgrown all the time."""


def lower_limits() -> None:
    """Set `LIMITS` in this process."""
    for module, name, value in LIMITS:
        setattr(module, name, value)


def text_of(name: str, version: int) -> str:
    """Some chunks of text; every paragraph names document and version."""
    mark = f"{name}version{version}"
    return "".join(
        f"Paragraph {n} of {mark} tells of topic{n} and little else. It ends here.\n\n"
        for n in range(6)
    )


def state_of(collection: Collection) -> State:
    """What is stored. Raises AssertionError where a text is not what its name and version say."""
    state = {}
    for one in collection.documents():
        text = collection.document(one.id).text
        found = re.search(r"(\w+?)version(\d+)", text)
        assert found, one.id
        name, version = found[1], int(found[2])
        assert text == text_of(name, version), one.id
        state[one.id] = version
    return state


def churn(settings: Settings, folder: Path, log: Path, seed: int) -> None:
    """Change files, index, delete and log, for ever. A line is written before and after each step."""
    lower_limits()
    dice = random.Random(seed)
    with log.open("a") as file:

        def note(kind: str, state: State | str) -> None:
            file.write(json.dumps({kind: state}) + "\n")
            file.flush()

        try:
            collection = Collection.open("papers", settings, create=True, embedder=HashEmbedder())
            note("done", state_of(collection))
            for step in range(1, 10_000):
                version = seed * 10_000 + step
                if dice.random() < 0.03:
                    note("plan", {})
                    collection.close()
                    Collection.remove("papers", settings)
                    collection = Collection.open(
                        "papers", settings, create=True, embedder=HashEmbedder()
                    )
                    note("done", {})
                elif dice.random() < 0.5:
                    _folder_step(collection, folder, version, dice, note)
                else:
                    _given_step(collection, version, dice, note)
        except BaseException:
            note("error", traceback.format_exc())
            raise


def _folder_step(
    collection: Collection, folder: Path, version: int, dice: random.Random, note: Any
) -> None:
    files = sorted(folder.glob("*.txt"))
    for file in files:
        choice = dice.random()
        if choice < 0.15:
            file.unlink()
        elif choice < 0.3:
            file.rename(file.with_name(f"r{version}x{file.name}"[-40:]))
        elif choice < 0.5:
            _write(file, text_of(file.stem, version))
    for n in range(dice.randrange(6)):
        name = f"f{version}n{n}"
        _write(folder / f"{name}.txt", text_of(name, version))
    others = {one.id for one in collection.documents() if one.source == "given"}
    state = {name: one for name, one in state_of(collection).items() if name in others}
    for file in folder.glob("*.txt"):
        state[file.name] = int(re.search(r"version(\d+)", file.read_text())[1])  # type: ignore[index]
    note("plan", state)
    report = collection.update(folder)
    assert not report.failed, report.failed
    note("done", state)


def _write(file: Path, text: str) -> None:
    """Whole or not at all: a half-written source is not what is tested here."""
    scratch = file.with_suffix(".part")
    scratch.write_text(text)
    scratch.rename(file)


def _given_step(collection: Collection, version: int, dice: random.Random, note: Any) -> None:
    stored = collection.documents()
    state = state_of(collection)
    given = {one.id: state[one.id] for one in stored if one.source == "given"}
    given = {name: one for name, one in given.items() if dice.random() > 0.2}
    for name in given:
        if dice.random() < 0.3:
            given[name] = version
    given |= {f"g{version}n{n}": version for n in range(dice.randrange(8))}
    rest = {one.id: state[one.id] for one in stored if one.source != "given"}
    note("plan", rest | given)
    documents = [Document(name, text_of(name, one)) for name, one in given.items()]
    collection.put(documents, "given")
    note("done", rest | given)


def rewrite(settings: Settings, seconds: float) -> None:
    """Give every document a new version, again and again."""
    lower_limits()
    with Collection.open("papers", settings, embedder=HashEmbedder()) as collection:
        version, until = 1, time.monotonic() + seconds
        while time.monotonic() < until:
            version += 1
            documents = [Document(f"d{n}", text_of(f"d{n}", version)) for n in range(20)]
            collection.put(documents, "given")


def watch(settings: Settings, seconds: float, log: Path) -> None:
    """Search and list until the time is up; log how many generations were seen, or what was wrong."""
    lower_limits()
    seen: set[int] = set()
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with Collection.open("papers", settings, embedder=HashEmbedder()) as collection:
                for _ in range(5):
                    found = collection.retrieve("Paragraph 3 tells of topic3", 50)
                    versions = {
                        word for hit in found.hits for word in re.findall(r"version\d+", hit.text)
                    }
                    assert len(versions) == 1, f"a mixture: {versions}"
                    documents = {hit.document for hit in found.hits}
                    assert len(documents) == 20, f"{len(documents)} documents"
                    seen.add(found.generation)
        log.write_text(json.dumps({"seen": len(seen)}))
    except BaseException:
        log.write_text(json.dumps({"error": traceback.format_exc()}))
        raise


def fill(settings: Settings, folder: Path, limit: int, log: Path) -> None:
    """Index a folder where no file may grow beyond `limit` bytes (0: any); log how it ended."""
    lower_limits()
    try:
        if limit:
            import resource  # not on every system

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            log.write_text("")
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with Collection.open(
            "papers", settings, create=True, embedder=HashEmbedder()
        ) as collection:
            collection.update(folder)
        outcome = {"ended": "well"}
    except CollectionError as error:
        outcome = {"error": str(error)}
    except BaseException:
        outcome = {"traceback": traceback.format_exc()}
    log.write_text(json.dumps(outcome))
