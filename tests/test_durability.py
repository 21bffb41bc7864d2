"""Kill, starve and race the real store: nothing that was reported as stored may be lost or mixed up.

FOOTNOTE_KILL_N sets how many times a process is killed (15 by default).
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import durability_driver as driver
import pytest
from fakes import HashEmbedder

from rag.collection import Collection
from rag.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

KILLS = int(os.environ.get("FOOTNOTE_KILL_N", "15"))


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that are forked from a server which has loaded everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["durability_driver"])
    return context


@pytest.fixture
def small(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Small chunks, so that a document has several, and bases that are soon made anew."""
    for module, name, value in driver.LIMITS:
        monkeypatch.setattr(module, name, value)
    return settings.model_copy(update={"chunk_tokens": 48})


def logged(log: Path) -> list[dict[str, Any]]:
    """Whole lines of a log; a killed process may leave half of one."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in lines]


def check(settings: Settings, allowed: list[driver.State]) -> driver.State:
    """Open what a killed process left, and compare it with the states that it may have."""
    if not (settings.indexes / "papers" / "collection.db").exists():
        assert {} in allowed  # killed while the collection as a whole was removed or made
        return {}
    with Collection.open("papers", settings, embedder=HashEmbedder()) as collection:
        state = driver.state_of(collection)
        assert state in allowed, "lost, mixed up or come back"
        gone = {name for one in allowed for name in one} - state.keys()
        for name in [*random.sample(sorted(state), min(4, len(state))), *sorted(gone)[:3]]:
            check_search(collection, name, state)
        return state


def check_search(collection: Collection, name: str, state: driver.State) -> None:
    """A document that is there is found by both searches, one that is not by neither."""
    known = state.get(name)
    mark = collection.document(name).text.split()[3] if known is not None else Path(name).stem
    hits = collection.search(f"Paragraph 2 of {mark} tells of topic2", 50)
    for hit in hits:
        assert hit.document in state
        assert collection.document(hit.document).text[hit.start : hit.end] == hit.text
    if known is not None:
        same = [hit for hit in hits if mark in hit.text]
        assert name in {hit.document for hit in same}
        assert same[0].why["words"] > 0
        assert same[0].why["dense"] > 0.2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_at_any_moment(
    processes: Any, small: Settings, tmp_path: Path, record_property: Any
) -> None:
    folder, log = tmp_path / "files", tmp_path / "log"
    folder.mkdir()
    dice = random.Random(20)
    before: driver.State = {}
    steps = inside = 0
    for trial in range(1, KILLS + 1):
        log.unlink(missing_ok=True)
        child = processes.Process(target=driver.churn, args=(small, folder, log, trial))
        child.start()
        while not logged(log) and child.is_alive():
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.8))
        child.kill()
        child.join(30)
        notes = logged(log)
        assert not [one["error"] for one in notes if "error" in one]
        states = [(kind, state) for one in notes for kind, state in one.items()]
        # Before the first line the child has only opened what was there.
        allowed = [states[-1][1]] if states else [before]
        if states and states[-1][0] == "plan":
            allowed.append(states[-2][1])
            inside += 1
        steps += len(states) // 2
        before = check(small, allowed)
    with Collection.open("papers", small, create=True, embedder=HashEmbedder()) as collection:
        collection.update(folder)
        stored = {one.id for one in collection.documents() if one.source != "given"}
        assert stored == {file.name for file in folder.glob("*.txt")}
    print(f"\n{KILLS} kills, {inside} of them within a step, {steps} steps completed: nothing lost")
    assert inside > KILLS / 4, "the kills missed the writes: the test proves nothing"


@pytest.mark.slow
def test_readers_see_whole_generations_only(
    processes: Any, small: Settings, tmp_path: Path
) -> None:
    with Collection.open("papers", small, create=True, embedder=HashEmbedder()) as collection:
        documents = [driver.Document(f"d{n}", driver.text_of(f"d{n}", 1)) for n in range(20)]
        collection.put(documents, "given")
    logs = [tmp_path / f"reader{n}" for n in range(2)]
    writer = processes.Process(target=driver.rewrite, args=(small, 6))
    readers = [processes.Process(target=driver.watch, args=(small, 6, log)) for log in logs]
    for one in (writer, *readers):
        one.start()
    for one in (writer, *readers):
        one.join(60)
    outcomes = [json.loads(log.read_text()) for log in logs]
    assert [one.get("error") for one in outcomes] == [None, None]
    # A reader that saw one generation only would prove nothing.
    assert all(one["seen"] > 2 for one in outcomes), outcomes


def write_files(folder: Path, count: int, version: int) -> driver.State:
    folder.mkdir(exist_ok=True)
    for n in range(count):
        (folder / f"f{n}.txt").write_text(driver.text_of(f"f{n}", version))
    return {f"f{n}.txt": version for n in range(count)}


@contextlib.contextmanager
def tiny_disk(at: Path, size: str) -> Iterator[Path]:
    """A real file system of `size`; skipped where this user may not mount one."""
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(at)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only root may mount a small disk")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["disk", "limit"])
def test_a_full_disk_leaves_the_last_generation_whole(
    processes: Any, small: Settings, tmp_path: Path, kind: str
) -> None:
    """Either a file system that is full or a limit on the size of a file."""
    folder, log = tmp_path / "files", tmp_path / "log"
    old = write_files(folder, 20, 1)
    with contextlib.ExitStack() as stack:
        limit = 0
        if kind == "disk":
            disk = stack.enter_context(tiny_disk(tmp_path / "disk", "1m"))
            small = small.model_copy(update={"indexes": disk / "indexes"})
        else:
            limit = 400_000
        with Collection.open("papers", small, create=True, embedder=HashEmbedder()) as collection:
            collection.update(folder)
        new = write_files(folder, 250, 2)
        child = processes.Process(target=driver.fill, args=(small, folder, limit, log))
        child.start()
        child.join(120)
        outcome = json.loads(log.read_text())
        assert "traceback" not in outcome, outcome["traceback"]
        assert "disk space" in outcome["error"]
        assert "\n" not in outcome["error"]
        assert check(small, [old]) == old
        if kind == "limit":  # with room again, the same command goes on where it stopped
            child = processes.Process(target=driver.fill, args=(small, folder, 0, log))
            child.start()
            child.join(120)
            assert json.loads(log.read_text()) == {"ended": "well"}
            assert check(small, [new]) == new
