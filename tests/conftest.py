"""Shared fixtures, and which tests need something that may not be there."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import HashEmbedder
from hypothesis import settings as hypothesis_settings

from eval.bench.postgres_server import Server, missing
from rag.collection import Collection
from rag.postgres.database import close_pools
from rag.settings import Settings

# How long an example takes says more of the machine, and of what else it does, than of the code.
hypothesis_settings.register_profile("footnote")
hypothesis_settings.load_profile("footnote")

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data",
        metavar="PATH",
        help="benchmark data; else $FOOTNOTE_DATA, else shared/data beside the checkout",
    )


def find_browser() -> str | None:
    """The path of an installed chromium or chrome."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """An installed chromium or chrome; the test is skipped where there is none."""
    found = find_browser()
    if found is None:
        message = f"no browser is installed (looked for {', '.join(BROWSERS)})"
        if os.environ.get("FOOTNOTE_REQUIRE_BROWSER"):
            pytest.fail(f"{message}, and FOOTNOTE_REQUIRE_BROWSER is set")
        pytest.skip(message)
    return found


@pytest.fixture(autouse=True)
def _browser_if_marked(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("browser"):
        request.getfixturevalue("browser_path")


@pytest.fixture(scope="session")
def data(pytestconfig: pytest.Config) -> Path:
    """The folder of benchmark data; the test is skipped where it is not there."""
    named = pytestconfig.getoption("--data") or os.environ.get("FOOTNOTE_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no benchmark data at {folder}: name it with --data or FOOTNOTE_DATA")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for the whole run; the test is skipped where there can be none."""
    if reason := missing():
        if os.environ.get("FOOTNOTE_REQUIRE_SERVICES"):
            pytest.fail(f"{reason}, and FOOTNOTE_REQUIRE_SERVICES is set")
        pytest.skip(reason)
    server = Server.made()
    yield server
    server.close()


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The address of an empty database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.run(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    close_pools()
    postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Defaults, with collections in a folder of the test's own."""
    return Settings(collection="papers", indexes=tmp_path / "indexes", parse_memory_mb=2048)


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder()


@pytest.fixture
def opened(settings: Settings, embedder: HashEmbedder) -> Iterator[Collection]:
    """An empty collection on disk, over the hash embedder."""
    with Collection.open("papers", settings, create=True, embedder=embedder) as collection:
        yield collection


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder: `make_folder("name", {"a.txt": "text"})`. Bytes are written as they are."""

    def make(name: str, files: dict[str, str | bytes]) -> Path:
        made = tmp_path / name
        made.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return made

    return make
