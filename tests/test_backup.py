"""Backup and restore over real databases: consistent, checked, never half, never outside.

FOOTNOTE_KILL_N sets how many times each is killed (15 by default).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import durability_driver as driver
import pytest
from fakes import TRUSTING, HashEmbedder, ScriptedGenerator
from test_durability import tiny_disk
from typer.testing import CliRunner, Result

from rag import swap
from rag.archive import read_manifest
from rag.assistant import Assistant
from rag.backup import back_up
from rag.cli import app
from rag.collection import Collection
from rag.errors import CollectionError, InputError, RagError
from rag.records import Document
from rag.restore import restore
from rag.settings import Settings

KILLS = int(os.environ.get("FOOTNOTE_KILL_N", "15"))
POLAND = "Poland joined the pact in 1999. Its capital is Warsaw.\n\nThe treaty has five articles."
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """Another installation."""
    return Settings(collection="papers", indexes=tmp_path / "elsewhere" / "indexes")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


def fill(settings: Settings, *documents: Document, name: str = "papers") -> None:
    with Collection.open(name, settings, create=True, embedder=HashEmbedder()) as collection:
        collection.put(documents, "given")


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """Two collections and a chat's data."""
    fill(settings, Document("poland", POLAND), Document("dogs", "Dogs bark loudly."))
    fill(settings, Document("one", "A single document."), name="other")
    chat = settings.chat_folder
    (chat / "uploads" / "papers").mkdir(parents=True)
    (chat / "uploads" / ".parts").mkdir()
    (chat / "people.json").write_text('{"people": []}')
    (chat / "uploads" / "papers" / "Звіт 1.txt").write_bytes(b"as it was\0")
    (chat / "uploads" / ".parts" / "half").write_text("half a file")
    (chat / ".people-x").write_text("half a list")
    (chat / "people.lock").write_text("")
    with contextlib.closing(sqlite3.connect(chat / "chat.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE conversations (title)")
        database.execute("INSERT INTO conversations VALUES ('First')")
        database.commit()
    return settings


def answers(settings: Settings, name: str = "papers") -> Any:
    """What searches find and what is answered, without what differs between identical runs."""
    with Collection.open(name, settings, embedder=HashEmbedder()) as collection:
        told = settings.model_copy(update={"collection": name, **TRUSTING})
        assistant = Assistant(collection, told, generator=ScriptedGenerator("Warsaw"))
        answer = assistant.ask("What is the capital of Poland?").to_dict()
        del answer["timings"], answer["collection"]
        hits = [collection.search(one, 9) for one in ("treaty articles", "dogs", "Poland 1999")]
        return answer, hits, collection.documents(), collection.counts(), collection.generation


def chat_of(settings: Settings) -> dict[str, Any]:
    """The rows of the database, and the bytes of the files that a backup takes."""
    chat = settings.chat_folder
    found: dict[str, Any] = {}
    with contextlib.closing(sqlite3.connect(chat / "chat.db")) as database:
        found["rows"] = database.execute("SELECT * FROM conversations").fetchall()
    for path in sorted(chat.rglob("*")):
        name = path.relative_to(chat).as_posix()
        ours = path.is_file() and not name.endswith(".lock") and not name.startswith("chat.db")
        if ours and "/." not in f"/{name}":
            found[name] = path.read_bytes()
    return found


def test_a_restored_installation_answers_identically(
    filled: Settings, elsewhere: Settings, out: Path
) -> None:
    expected = answers(filled)
    made = back_up(filled, out)
    assert made.skipped == [] and made.bytes == out.stat().st_size
    about = read_manifest(out)
    assert about == made.manifest
    assert (about.collections["papers"].documents, about.collections["other"].chunks) == (2, 1)
    assert about.collections["papers"].generation == 1
    assert about.chat == 3
    restore(out, elsewhere)
    assert answers(elsewhere) == expected
    assert expected[0]["citations"][0]["quote"] in POLAND
    assert answers(elsewhere, "other")[3] == (1, 1)
    found = chat_of(elsewhere)
    assert found == {
        "people.json": b'{"people": []}',
        "uploads/papers/Звіт 1.txt": b"as it was\0",
        "rows": [("First",)],
    }
    modes = [path.stat().st_mode & 0o77 for path in elsewhere.chat_folder.rglob("*")]
    assert not any(modes) and not elsewhere.chat_folder.stat().st_mode & 0o77
    assert out.stat().st_mode & 0o777 == 0o600
    left = [one.name for one in (*elsewhere.indexes.iterdir(), *out.parent.iterdir())]
    assert not [name for name in left if name.startswith((".restoring", f".{out.name}"))]


def test_caches_come_along_and_fit(filled: Settings, elsewhere: Settings, out: Path) -> None:
    """So that a large collection is searched as it was, at once."""
    back_up(filled, out)
    restore(out, elsewhere, ["papers"])
    [base] = (elsewhere.indexes / "papers").glob("passages-*.faiss")
    before = base.stat().st_mtime_ns
    answers(elsewhere)
    [after] = (elsewhere.indexes / "papers").glob("passages-*.faiss")
    assert (after, after.stat().st_mtime_ns) == (base, before)


def test_words_of_a_large_collection_come_along(
    settings: Settings, elsewhere: Settings, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.lexical.LARGE", 1)
    fill(settings, Document("poland", POLAND), Document("dogs", "Dogs bark loudly."))
    expected = answers(settings)
    back_up(settings, out)
    restore(out, elsewhere)
    words = [path.name for path in (elsewhere.indexes / "papers").glob("words-*")]
    assert len(words) == 1
    assert answers(elsewhere) == expected


def test_what_is_there_is_replaced_by_force_alone(
    filled: Settings, elsewhere: Settings, out: Path
) -> None:
    back_up(filled, out)
    expected = answers(filled)
    fill(elsewhere, Document("mine", "Mine stays."))
    before = answers(elsewhere)
    with pytest.raises(InputError, match="'papers' already.*--force"):
        restore(out, elsewhere)
    assert answers(elsewhere) == before
    assert not (elsewhere.indexes / "other").exists()
    reader = Collection.open("papers", elsewhere, embedder=HashEmbedder())
    assert reader.search("mine")[0].document == "mine"
    restore(out, elsewhere, force=True)
    assert answers(elsewhere) == expected
    # Who had it open sees the restored generation, without opening it again.
    assert reader.search("capital of Poland")[0].document == "poland"
    assert [one.id for one in reader.documents()] == ["dogs", "poland"]
    reader.close()
    fill(elsewhere, Document("more", "More comes."))  # it can be written as ever
    with Collection.open("papers", elsewhere, embedder=HashEmbedder()) as collection:
        assert collection.search("more comes")[0].document == "more"


def test_the_chat_is_replaced_by_force_alone_and_not_while_it_is_open(
    filled: Settings, elsewhere: Settings, out: Path
) -> None:
    back_up(filled, out)
    elsewhere.chat_folder.mkdir(parents=True)
    (elsewhere.chat_folder / "people.json").write_text("mine")
    with pytest.raises(InputError, match="--force replaces it, --no-chat"):
        restore(out, elsewhere)
    restore(out, elsewhere, chat=False)
    assert (elsewhere.chat_folder / "people.json").read_text() == "mine"
    restore(out, elsewhere, force=True)
    opened = sqlite3.connect(elsewhere.chat_folder / "chat.db")
    opened.execute("PRAGMA journal_mode = WAL").fetchone()
    opened.execute("INSERT INTO conversations VALUES ('Second')")
    opened.commit()
    with pytest.raises(CollectionError, match="is running: end it"):
        restore(out, elsewhere, force=True)
    opened.close()
    assert chat_of(elsewhere)["rows"] == [("First",), ("Second",)]
    restore(out, elsewhere, force=True)
    assert chat_of(elsewhere)["rows"] == [("First",)]


def test_a_collection_under_another_name(filled: Settings, out: Path) -> None:
    expected = answers(filled)
    back_up(filled, out)
    with pytest.raises(InputError, match="holds 2 collections: --as needs -c"):
        restore(out, filled, rename="copy")
    done = restore(out, filled, ["papers"], rename="copy")
    assert done.chat is None
    assert answers(filled, "copy") == answers(filled) == expected
    with pytest.raises(InputError, match="no collection 'ghost'.*other, papers"):
        restore(out, filled, ["ghost"])


def test_a_damaged_collection_is_replaced(filled: Settings, out: Path) -> None:
    expected = answers(filled)
    back_up(filled, out)
    database = filled.indexes / "papers" / "collection.db"
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(CollectionError):
        answers(filled)
    restore(out, filled, ["papers"], force=True)
    assert answers(filled) == expected


def test_a_damaged_collection_is_not_backed_up(filled: Settings, out: Path) -> None:
    out.write_text("the last good one")
    database = filled.indexes / "papers" / "collection.db"
    content = bytearray(database.read_bytes())
    content[8192:12288] = os.urandom(4096)
    database.write_bytes(content)
    with pytest.raises(CollectionError, match="damaged"):
        back_up(filled, out, force=True)
    assert out.read_text() == "the last good one"
    assert [one.name for one in out.parent.glob(".backup*")] == []


@pytest.mark.parametrize("schema", ["two", "99"])
def test_what_this_version_does_not_know_is_not_backed_up(
    filled: Settings, out: Path, schema: str
) -> None:
    with contextlib.closing(sqlite3.connect(filled.indexes / "papers" / "collection.db")) as one:
        one.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (schema,))
        one.commit()
    with pytest.raises(CollectionError, match=f"schema {schema}"):
        back_up(filled, out)
    assert not out.exists()


def test_a_folder_that_is_no_collections(filled: Settings, out: Path) -> None:
    for name in (".papers-x.removed", "no name"):
        (filled.indexes / name).mkdir()
        (filled.indexes / name / "collection.db").write_bytes(b"")
    assert list(back_up(filled, out).manifest.collections) == ["other", "papers"]


@posix
@pytest.mark.parametrize("size", ["1k", "100k"])
def test_a_full_disk_leaves_nothing_half(filled: Settings, tmp_path: Path, size: str) -> None:
    with tiny_disk(tmp_path / "disk", size) as disk:
        with pytest.raises((CollectionError, OSError), match="full|space"):
            back_up(filled, disk / "backup.tar")
        assert list(disk.iterdir()) == []


def test_what_can_not_be_backed_up(filled: Settings, elsewhere: Settings, out: Path) -> None:
    with pytest.raises(CollectionError, match="no collection 'ghost'"):
        back_up(filled, out, ["ghost"])
    with pytest.raises(InputError, match="nothing to back up"):
        back_up(elsewhere, out)
    out.write_text("mine")
    with pytest.raises(InputError, match="there already.*--force"):
        back_up(filled, out)
    assert out.read_text() == "mine"


@posix
def test_what_is_no_file_is_named(filled: Settings, out: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not the chat's")
    (filled.chat_folder / "link").symlink_to(secret)
    (filled.chat_folder / "folder").symlink_to(tmp_path)
    os.mkfifo(filled.chat_folder / "pipe")
    made = back_up(filled, out)
    assert sorted(Path(one["path"]).name for one in made.skipped) == ["link", "pipe"]
    assert b"not the chat's" not in out.read_bytes()


def altered(out: Path, change: Callable[[tarfile.TarFile, tarfile.TarInfo, bytes], None]) -> None:
    """Write the backup anew, every member as `change` wants it."""
    scratch = out.with_suffix(".new")
    with tarfile.open(out) as old, tarfile.open(scratch, "w") as new:
        for info in old:
            file = old.extractfile(info)
            assert file is not None
            change(new, info, file.read())
    os.replace(scratch, out)


def keep(new: tarfile.TarFile, info: tarfile.TarInfo, content: bytes) -> None:
    info.size = len(content)
    new.addfile(info, io.BytesIO(content))


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def sized(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


HOSTILE = {
    "above": tarfile.TarInfo("chat/../../evil"),
    "above a collection": tarfile.TarInfo("collections/papers/../../../evil"),
    "absolute": tarfile.TarInfo("/tmp/evil"),
    "beside": tarfile.TarInfo("evil"),
    "backslash": tarfile.TarInfo("chat/..\\evil"),
    "link": special("chat/people.json", tarfile.SYMTYPE, "/etc/passwd"),
    "link in a collection": special("collections/papers/x", tarfile.SYMTYPE, "../../.."),
    "hard link": special("chat/x", tarfile.LNKTYPE, "chat/people.json"),
    "pipe": special("chat/x", tarfile.FIFOTYPE),
    "device": special("chat/x", tarfile.CHRTYPE),
    "folder": special("chat/x", tarfile.DIRTYPE),
    "not in the manifest": tarfile.TarInfo("chat/extra"),
    "twice": tarfile.TarInfo("chat/people.json"),
    "less than nothing": sized("chat/x", -1024),
    "second manifest": tarfile.TarInfo("manifest.json"),
}


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("named", [False, True], ids=["", "named"])
def test_nothing_is_written_outside(
    filled: Settings, elsewhere: Settings, out: Path, evil: tarfile.TarInfo, named: bool
) -> None:
    """Neither where the manifest knows nothing of it, nor where it names it."""
    back_up(filled, out)

    def change(new: tarfile.TarFile, info: tarfile.TarInfo, content: bytes) -> None:
        if info.name == "manifest.json":
            new.addfile(evil, io.BytesIO(b"") if evil.size == 0 else None)
            if named:
                manifest = json.loads(content)
                empty = {
                    "size": 0,
                    "sha256": "e3b0c44298fc1c149afbf4c8996fb924"
                    + "27ae41e4649b934ca495991b7852b855",
                }
                manifest["members"].setdefault(evil.name, empty)
                content = json.dumps(manifest).encode()
        keep(new, info, content)

    altered(out, change)
    if named and evil.name == "chat/extra":
        restore(out, elsewhere)  # then it is one like the others
        return
    with pytest.raises(InputError):
        restore(out, elsewhere)
    assert not elsewhere.indexes.exists() or not [
        one for one in elsewhere.indexes.iterdir() if one.name != ".backup.lock"
    ]
    assert not list(out.parent.rglob("evil"))


@pytest.mark.parametrize("member", ["collections/papers/collection.db", "chat/people.json"])
def test_a_changed_byte_is_found_before_anything_is_replaced(
    filled: Settings, elsewhere: Settings, out: Path, member: str
) -> None:
    back_up(filled, out)
    fill(elsewhere, Document("mine", "Mine stays."))
    before = answers(elsewhere)

    def change(new: tarfile.TarFile, info: tarfile.TarInfo, content: bytes) -> None:
        if info.name == member:
            content = content[:-1] + bytes([content[-1] ^ 1])
        keep(new, info, content)

    altered(out, change)
    with pytest.raises(InputError, match="damaged"):
        restore(out, elsewhere, force=True)
    assert answers(elsewhere) == before
    assert not elsewhere.chat_folder.exists()


def test_half_a_backup_is_none(filled: Settings, elsewhere: Settings, out: Path) -> None:
    back_up(filled, out)
    content = out.read_bytes()
    for size in [0, 100, 512, 700, *(len(content) * n // 9 for n in range(1, 9))]:
        out.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"backup\.tar"):
            restore(out, elsewhere)
    assert not elsewhere.indexes.exists()
    with pytest.raises(InputError, match="no such file"):
        restore(out.with_name("ghost"), elsewhere)


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another form": (lambda one: one | {"form": 2}, "another version"),
    "an unknown field": (lambda one: one | {"more": 1}, "another version"),
    "a bad name": (
        lambda one: one | {"collections": {"../x": one["collections"]["papers"]}},
        "another version",
    ),
    "a later schema": (
        lambda one: (one["collections"]["papers"].update(schema_version=99), one)[1],
        "later version",
    ),
    "other counts": (
        lambda one: (one["collections"]["papers"].update(documents=3), one)[1],
        "does not hold what",
    ),
    "no manifest": (lambda one: [], "another version"),
    "no database": (
        lambda one: one | {"collections": one["collections"] | {"x": one["collections"]["papers"]}},
        "lacks the database",
    ),
}


@pytest.mark.parametrize(("edit", "message"), MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_that_is_not_believed(
    filled: Settings, elsewhere: Settings, out: Path, edit: Callable[[Any], Any], message: str
) -> None:
    back_up(filled, out)

    def change(new: tarfile.TarFile, info: tarfile.TarInfo, content: bytes) -> None:
        if info.name == "manifest.json":
            content = json.dumps(edit(json.loads(content))).encode()
        keep(new, info, content)

    altered(out, change)
    with pytest.raises(InputError, match=message):
        restore(out, elsewhere)
    assert not (elsewhere.indexes / "papers").exists() and not elsewhere.chat_folder.exists()


def test_memory_does_not_grow_with_a_file(filled: Settings, elsewhere: Settings, out: Path) -> None:
    with (filled.chat_folder / "uploads" / "papers" / "large").open("wb") as file:
        for _ in range(60):
            file.write(os.urandom(1 << 20))
    tracemalloc.start()
    try:
        back_up(filled, out)
        restore(out, elsewhere)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6
    large = "uploads/papers/large"
    assert chat_of(elsewhere)[large] == chat_of(filled)[large]


def test_folders_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def both() -> tuple[str, str]:
        return (tmp_path / "a" / "file").read_text(), (tmp_path / "b" / "file").read_text()

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert swap._in_one_step(tmp_path / "a", tmp_path / "b") or sys.platform != "linux"
    swap.exchange(tmp_path / "a", tmp_path / "b")
    changed = both()
    monkeypatch.setattr(swap, "_in_one_step", lambda new, old: False)  # as on NFS
    swap.exchange(tmp_path / "a", tmp_path / "b")
    assert both() == changed[::-1]
    with pytest.raises(OSError, match="ghost"):
        swap.exchange(tmp_path / "ghost", tmp_path / "a")


# While others are at work, and killed


@pytest.fixture(scope="module")
def processes() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["durability_driver", "test_backup"])
    return context


@pytest.fixture
def numbered(settings: Settings) -> Settings:
    """Twenty documents, all of version 1, in the collection that the driver writes to."""
    fill(settings, *(Document(f"d{n}", driver.text_of(f"d{n}", 1)) for n in range(20)))
    return settings


@posix
def test_a_backup_while_a_writer_is_at_work_is_one_generation(
    processes: Any, numbered: Settings, elsewhere: Settings, out: Path
) -> None:
    writer = processes.Process(target=driver.rewrite, args=(numbered, 4))
    writer.start()
    seen = set()
    while writer.is_alive():
        back_up(numbered, out, force=True)
        restore(out, elsewhere, force=True)
        with Collection.open("papers", elsewhere, embedder=HashEmbedder()) as collection:
            versions = set(driver.state_of(collection).values())
            hits = collection.search("Paragraph 3 tells of topic3", 50)
            assert len(versions) == 1 and len({hit.document for hit in hits}) == 20
            seen |= versions
    writer.join()
    assert writer.exitcode == 0
    assert len(seen) > 2, "the writer did nothing meanwhile: this proves nothing"


def back_up_for_ever(begun: Any, settings: Settings, out: Path) -> None:
    begun.set()
    while True:
        back_up(settings, out, force=True)


def restore_for_ever(begun: Any, settings: Settings, files: list[Path]) -> None:
    begun.set()
    for file in itertools.cycle(files):
        restore(file, settings, force=True)


def killed(processes: Any, work: Any, arguments: tuple[Any, ...], after: float) -> None:
    """Let a process begin its work, and kill it `after` so many seconds of that."""
    begun = processes.Event()
    process = processes.Process(target=work, args=(begun, *arguments))
    process.start()
    assert begun.wait(60)
    time.sleep(after)
    process.kill()
    process.join(30)


@posix
@pytest.mark.timeout(3600)
def test_a_killed_backup_leaves_the_last_one(
    processes: Any, filled: Settings, elsewhere: Settings, out: Path
) -> None:
    with (filled.chat_folder / "uploads" / "papers" / "large").open("wb") as file:
        file.write(os.urandom(20_000_000))
    back_up(filled, out)
    dice, half = random.Random(7), 0
    for _ in range(KILLS):
        killed(processes, back_up_for_ever, (filled, out), dice.uniform(0.0, 0.4))
        half += bool(list(out.parent.glob(f".{out.name}-*")))
        assert read_manifest(out).chat == 4
        restore(out, elsewhere, force=True)
        assert answers(elsewhere) == answers(filled)
    back_up(filled, out, force=True)
    assert not list(out.parent.glob(f".{out.name}-*")), "what killed ones left is removed"
    print(f"\n{KILLS} kills, {half} of them within a backup")
    assert half > KILLS / 4, "the kills missed the backups: this proves nothing"


@posix
@pytest.mark.timeout(3600)
def test_a_killed_restore_leaves_the_old_or_the_new(
    processes: Any, filled: Settings, tmp_path: Path
) -> None:
    files = [tmp_path / "a.tar", tmp_path / "b.tar"]
    states, chats = [], []
    for n, file in enumerate(files):
        with (filled.chat_folder / "uploads" / "papers" / "large").open("wb") as large:
            large.write(os.urandom(3_000_000))
        fill(
            filled,
            *(Document(f"v{n}d{m}", driver.text_of(f"v{n}d{m}", n)) for m in range(40)),
            Document("poland", POLAND + f" It has {n} rivers."),
        )
        states.append(answers(filled))
        back_up(filled, file)
        chats.append(chat_of(filled))
    dice, half = random.Random(8), 0
    for _ in range(KILLS):
        killed(processes, restore_for_ever, (filled, files), dice.uniform(0.0, 0.5))
        half += bool(list(filled.indexes.glob(".restoring-*")))
        assert answers(filled) in states
        assert answers(filled, "other")[3] == (1, 1)
        assert chat_of(filled) in chats
    restore(files[0], filled, force=True)
    assert answers(filled) == states[0]
    assert not list(filled.indexes.glob(".restoring-*")), "what killed ones left is removed"
    print(f"\n{KILLS} kills, {half} of them within a restore")
    assert half > KILLS / 4, "the kills missed the restores: this proves nothing"


# The commands


@pytest.fixture
def run(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(filled.indexes))
    monkeypatch.chdir(filled.indexes.parent)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_the_commands(run: Callable[..., Result], filled: Settings, out: Path) -> None:
    done = run("backup", "--out", str(out))
    assert done.exit_code == 0, done.exception
    assert "'papers' (2 documents in 2 passages, generation 1)" in done.stdout
    assert "the chat's data (3 files)" in done.stdout
    assert isinstance(run("backup", "--out", str(out)).exception, InputError)
    said = json.loads(run("backup", "-c", "other", "--out", str(out), "--force", "--json").stdout)
    assert list(said["collections"]) == ["other"] and said["chat"] == 3 and said["bytes"] > 1000
    assert isinstance(run("restore", str(out)).exception, InputError)
    done = run("restore", str(out), "--as", "third")
    assert done.exit_code == 0, done.exception
    assert "'other' (1 documents" in done.stdout
    assert "who may read 'third'" in done.stderr
    assert answers(filled, "third")[3] == (1, 1)
    assert isinstance(run("restore", str(out), "--as", "../x").exception, RagError)
    said = json.loads(run("restore", str(out), "--force", "--json").stdout)
    assert said["chat"] == 3


def test_an_upgrade_from_the_command_line(run: Callable[..., Result], filled: Settings) -> None:
    database = sqlite3.connect(filled.indexes / "papers" / "collection.db")
    database.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    database.commit()
    database.close()
    assert isinstance(run("search", "x", "-c", "papers").exception, CollectionError)
    done = run("upgrade", "--all")
    assert done.exit_code == 0, done.exception
    assert "'papers': brought from schema 2 to 3" in done.stdout
    assert "'other': is up to date" in done.stdout
    [one] = json.loads(run("upgrade", "-c", "papers", "--json").stdout)
    assert one["documents"] == 2 and one["from_schema"] == one["schema"] == 3
    assert isinstance(run("upgrade", "-c", "ghost").exception, CollectionError)
    assert run("upgrade", "-c", "papers", "--all").exit_code == 2
    (filled.indexes / "other" / "collection.db").write_bytes(b"no database" * 1000)
    done = run("upgrade", "--all")
    assert done.exit_code == 1 and "other" in done.stderr and "'papers': is up" in done.stdout


def test_an_upgrade_says_what_would_have_to_be_embedded(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_EMBEDDER", "another")
    done = run("upgrade", "-c", "papers")
    assert done.exit_code == 0
    assert "embeds its 2 stored texts again and reads no file" in done.stderr
