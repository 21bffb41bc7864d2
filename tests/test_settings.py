"""Where settings come from, which wins, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No environment and no file but the test's own."""
    import os

    for name in [name for name in os.environ if name.startswith("FOOTNOTE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    assert load_settings() == Settings()
    assert load_settings().collection == "seeds"


def test_later_sources_win(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("footnote.toml").write_text('top_k = 3\nthreads = 1\nstyle = "short"\n')
    monkeypatch.setenv("FOOTNOTE_THREADS", "2")
    monkeypatch.setenv("FOOTNOTE_STYLE", "full")
    found = load_settings(style="short", top_k=None)
    assert (found.top_k, found.threads, found.style) == (3, 2, "short")


def test_the_file_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("footnote.toml").write_text("top_k = 3\n")
    (tmp_path / "other.toml").write_text("top_k = 4\n")
    monkeypatch.setenv("FOOTNOTE_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().top_k == 4


@pytest.mark.parametrize(
    "name",
    ["CONFIG", "DATA", "FUZZ_N", "KILL_N", "QUESTION", "REQUIRE_BROWSER", "REQUIRE_SERVICES"],
)
def test_names_that_the_makefile_and_the_tests_use_are_no_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty.toml").write_text("")
    monkeypatch.setenv(f"FOOTNOTE_{name}", str(tmp_path / "empty.toml"))
    assert load_settings() == Settings()


BAD_FILES = {
    "unknown key": ("topk = 3\n", "unknown setting 'topk'.*top_k"),
    "wrong type": ('top_k = "many"\n', "setting 'top_k'"),
    "out of range": ("top_k = 0\n", "setting 'top_k'"),
    "no TOML": ("top_k: 3\n", r"footnote\.toml.*not valid TOML"),
    "path as a name": ('collection = "../up"\n', "setting 'collection'"),
    "hidden name": ('collection = ".x"\n', "setting 'collection'"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    Path("footnote.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_an_unknown_environment_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_MODLE", "x")
    with pytest.raises(SettingsError, match="modle"):
        load_settings()


def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_CONFIG", "missing.toml")
    with pytest.raises(SettingsError, match=r"missing\.toml.*FOOTNOTE_CONFIG"):
        load_settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().top_k = 9  # type: ignore[misc]


def test_home_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_INDEXES", "~/somewhere")
    assert load_settings().indexes == Path.home() / "somewhere"


def test_a_value_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("footnote.toml").write_text('endpoint_key = "from the file"\ntop_k = 3\n')
    (tmp_path / "key").write_text("sk-secret value \r\n")
    (tmp_path / "k").write_text("4")
    monkeypatch.setenv("FOOTNOTE_ENDPOINT_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("FOOTNOTE_TOP_K_FILE", str(tmp_path / "k"))
    found = load_settings()
    assert (found.endpoint_key, found.top_k) == ("sk-secret value ", 4)
    assert load_settings(endpoint_key="flag").endpoint_key == "flag"


def test_every_setting_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        value = getattr(Settings(), name)
        if not isinstance(value, (str, int, float, Path)):
            continue
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"FOOTNOTE_{name.upper()}_FILE", str(tmp_path / name))
    assert load_settings() == Settings()


BAD_VALUES: dict[str, tuple[bytes | None, str]] = {
    "not there": (None, "can't be read.*FOOTNOTE_ENDPOINT_KEY_FILE"),
    "no text": (b"\xff\xfe", "not UTF-8.*FOOTNOTE_ENDPOINT_KEY_FILE"),
    "endless": (b"a" * 65_537, "too long.*FOOTNOTE_ENDPOINT_KEY_FILE"),
}


@pytest.mark.parametrize(("content", "message"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_file_that_holds_no_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("FOOTNOTE_ENDPOINT_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_a_value_in_a_file_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "k").write_text("hunter2")
    monkeypatch.setenv("FOOTNOTE_TOP_K_FILE", str(tmp_path / "k"))
    with pytest.raises(SettingsError, match="FOOTNOTE_TOP_K_FILE") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)


def test_a_value_and_a_file_for_it_contradict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("a")
    monkeypatch.setenv("FOOTNOTE_ENDPOINT_KEY", "b")
    monkeypatch.setenv("FOOTNOTE_ENDPOINT_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError, match="both set"):
        load_settings()


def test_a_file_for_an_unknown_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOOTNOTE_MODLE_FILE", str(tmp_path))
    with pytest.raises(SettingsError, match="modle_file"):
        load_settings()
