"""One frozen Settings, from defaults, a TOML file, the environment and flags, later ones winning.

The file is `footnote.toml` in the working folder, or the one that `FOOTNOTE_CONFIG` names. The
environment's names are `FOOTNOTE_` and the setting's name in capitals; with `_FILE` after that, the
value is what the named file holds (a secret of Docker's or Kubernetes's). An unknown key is an error
wherever it stands. This module knows nothing of models or stores.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
)

from rag.address import SCHEMES, shown
from rag.errors import SettingsError

__all__ = ["Settings", "load_settings"]

_PREFIX = "FOOTNOTE_"
_IN_FILE = "_FILE"
_LONGEST_VALUE = 65_536  # bytes of a file that holds a setting's value: more is another file
# An address may hold a password, and a key is one: neither is ever repeated.
_SECRET = ("endpoint", "endpoint_key", "store", "store_replicas")
# Names that the Makefile and the tests use.
_NOT_SETTINGS = {
    f"{_PREFIX}{name}"
    for name in (
        *("CASES_N", "CONFIG", "DATA", "FUZZ_N", "KILL_N", "QUESTION"),
        *("REQUIRE_BROWSER", "REQUIRE_SERVICES"),
    )
}


def _default_indexes() -> Path:
    """`indexes/` of the checkout that this file is in; else a folder of the user's."""
    root = Path(__file__).resolve().parent.parent
    if (root / "pyproject.toml").is_file():
        return root / "indexes"
    import platformdirs

    return Path(platformdirs.user_data_dir("footnote")) / "indexes"


def _default_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("footnote"))


class Settings(BaseModel):
    """Everything that can be set. Sizes are in the units that the names say."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    collection: str = Field("seeds", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    indexes: Path = Field(default_factory=_default_indexes)
    cache: Path = Field(default_factory=_default_cache)

    # Where collections are kept
    store: str = Field(
        "",
        repr=False,
        pattern=r"^$|^postgres(ql)?://",
        description="postgresql://USER:PASSWORD@HOST/DATABASE; empty: files under `indexes`",
    )
    store_replicas: tuple[str, ...] = Field(
        (), repr=False, description="addresses of streaming replicas, for questions"
    )
    store_connections: int = Field(8, ge=2, description="to one server, of one program, at most")
    store_timeout_s: int = Field(
        30, ge=1, description="a reader's statement is ended after so long"
    )

    # Models
    embedder: str = "minilm"
    model: str = "qwen2.5-coder-1.5b"
    adapter: str = Field("auto", description='"": the plain model')
    runtime: Literal["auto", "transformers", "openvino"] = "auto"
    allow_network: bool = False
    threads: int = Field(0, ge=0, description="0: as many as there are cores")

    # A model server in place of the local model; `model` is its name there. Times are in seconds.
    endpoint: str = Field("", description="base URL of an OpenAI-compatible server, mostly …/v1")
    endpoint_key: str = Field("", repr=False)
    endpoint_ca: Path | None = Field(
        None, description="PEM file of an authority to trust beside the known ones"
    )
    endpoint_extra: dict[str, Any] = Field(
        default_factory=dict,
        description="more fields of each request, such as chat_template_kwargs",
    )
    endpoint_connect_s: float = Field(5, gt=0, description="to open a connection")
    endpoint_first_token_s: float = Field(
        120, gt=0, description="in the server's queue, and to read"
    )
    endpoint_silence_s: float = Field(60, gt=0, description="between one token and the next")
    endpoint_whole_s: float = Field(
        600, gt=0, description="one reply, with all that is tried again"
    )
    endpoint_retries: int = Field(3, ge=0, le=20, description="further attempts at one reply")
    endpoint_retry_wait_s: float = Field(
        20, gt=0, description="the longest pause before one; a Retry-After beyond it ends them"
    )
    endpoint_parallel: int = Field(16, ge=1, description="requests under way from this process")
    endpoint_queue_s: float = Field(
        30, ge=0, description="how long a further one waits for its turn"
    )
    endpoint_failover: str = Field(
        "", description='the local model that answers while the server fails; "": none'
    )
    endpoint_failures: int = Field(
        3, ge=1, description="failures in a row after which the server is left alone"
    )
    endpoint_pause_s: float = Field(30, gt=0, description="for that long, then tried again")

    # Chunks
    chunk_tokens: int = Field(200, ge=32, le=512)
    whole_documents: bool = Field(
        False, description="one passage a document, embedded as far as the embedder reads"
    )

    # Retrieval
    candidates: int = Field(50, ge=1, le=1000)
    top_k: int = Field(6, ge=1, le=50)
    weight_dense: float = Field(0.3, ge=0)
    weight_words: float = Field(0.4, ge=0)
    weight_sentence: float = Field(0.3, ge=0)

    # Generation
    style: Literal["full", "short"] = "full"
    evidence_tokens: int = Field(260, ge=50, le=16_000)
    max_new_tokens: int = Field(200, ge=1, le=4096)
    lookup_tokens: int = Field(6, ge=0, le=32)

    # Trust
    refuse_below: float = Field(0.2, ge=0, le=1)
    search_gate: float = Field(0.02, ge=0, le=1)
    rival_closeness: float = Field(
        0.8,
        ge=0,
        le=1.01,
        description="how near the best source another must be to be asked too; over 1: none is",
    )
    rival_doubt: float = Field(0.5, ge=0, le=1)

    # The chat
    chat: Path | None = Field(
        None,
        description="folder of accounts, conversations and uploads; <indexes>/.chat if not set",
    )
    questions_waiting: int = Field(3, ge=1, description="a person's questions in the queue at most")
    questions_an_hour: int = Field(0, ge=0, description="a person's questions an hour; 0: no limit")
    uploads_mb: int = Field(2000, ge=1, description="what one person may keep uploaded, in all")
    keep_days: int = Field(0, ge=0, description="conversations older are removed; 0: none")
    audit_text: bool = Field(False, description="the audit log keeps questions, not only who asked")

    # The service
    unlisted: Literal["open", "closed"] = Field(
        "open",
        description="closed: a collection that is private to no group is for admins alone; for a "
        "service whose accounts are not those of the chat that makes collections",
    )
    answers_at_once: int = Field(
        0,
        ge=0,
        le=64,
        description="where several may use the model, as those of an endpoint; 0: eight",
    )
    otlp_endpoint: str = Field(
        "", description="where traces go, such as http://127.0.0.1:4318; none if not set"
    )

    # Reading
    max_file_mb: int = Field(100, ge=1)
    parse_seconds: int = Field(60, ge=1)
    parse_memory_mb: int = Field(1024, ge=128)

    @field_validator("indexes", "cache", "chat", "endpoint_ca")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return path.expanduser() if path else None

    @field_validator("store_replicas", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(given.replace(",", " ").split()) if isinstance(given, str) else given

    @field_validator("store_replicas")
    @classmethod
    def _addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not all(one.startswith(SCHEMES) for one in given):
            raise ValueError("every address begins with postgresql://")
        return given

    @field_serializer("store", when_used="json")
    def _shown(self, store: str) -> str:
        return shown(store)

    @field_serializer("store_replicas", when_used="json")
    def _all_shown(self, replicas: tuple[str, ...]) -> list[str]:
        return [shown(one) for one in replicas]

    @field_validator("endpoint")
    @classmethod
    def _base_url(cls, endpoint: str) -> str:
        if not endpoint:
            return ""
        try:
            parts = urlsplit(endpoint)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or not endpoint.isprintable() or " " in endpoint:
            raise ValueError("is no URL: write it like http://127.0.0.1:8000/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "holds more than a base URL: a key goes into 'endpoint_key', and nothing follows "
                "'?' or '#'"
            )
        return endpoint.rstrip("/")

    @field_validator("endpoint_key")
    @classmethod
    def _fits_a_header(cls, key: str) -> str:
        if not re.fullmatch(r"[\x21-\x7e]*", key.strip()):
            raise ValueError("holds a space, or a character that no key has")
        return key.strip()

    @property
    def chat_folder(self) -> Path:
        """Where the chat keeps accounts, conversations and uploads."""
        return self.chat or self.indexes / ".chat"


def load_settings(**overrides: Any) -> Settings:
    """Read file and environment, then apply `overrides` that are not None.

    Raises:
        SettingsError: a key is unknown, or a value does not fit.
    """
    values: dict[str, Any] = {}
    values.update(_from_file())
    secret = _from_named_files()
    values.update(_from_environment())
    values.update(secret)
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(Settings.model_fields))
            raise SettingsError(f"unknown setting '{name}': the settings are {known}") from None
        got = f"what stands in ${_PREFIX}{name.upper()}{_IN_FILE}"  # which nobody should see
        got = got if name in secret else repr(first["input"])
        given = "" if name.partition(".")[0] in _SECRET else f" (got {got})"
        raise SettingsError(f"setting '{name}': {first['msg']}{given}") from None


def _from_file() -> dict[str, Any]:
    named = os.environ.get("FOOTNOTE_CONFIG")
    path = Path(named) if named else Path("footnote.toml")
    if not named and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: can't be read ({error.strerror}): check FOOTNOTE_CONFIG"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from None


def _from_environment() -> dict[str, str]:
    return {
        name[len(_PREFIX) :].lower(): value
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS and not _names_a_file(name)
    }


def _names_a_file(name: str) -> bool:
    """Whether a name of the environment is a setting's with `_FILE` after it."""
    setting = name.removeprefix(_PREFIX).removesuffix(_IN_FILE).lower()
    return name == f"{_PREFIX}{setting.upper()}{_IN_FILE}" and setting in Settings.model_fields


def _from_named_files() -> dict[str, str]:
    """The values of settings that stand in files, without the line's end."""
    values = {}
    for name, path in os.environ.items():
        if not _names_a_file(name):
            continue
        plain = name.removesuffix(_IN_FILE)
        if plain in os.environ:
            raise SettingsError(f"{plain} and {name} are both set: unset one of them")
        try:
            with open(path, "rb") as file:
                content = file.read(_LONGEST_VALUE + 1)
            if len(content) > _LONGEST_VALUE:
                raise SettingsError(f"{path}: is too long for a setting: check {name}")
            value = content.decode("utf-8")
        except OSError as error:
            raise SettingsError(f"{path}: can't be read ({error.strerror}): check {name}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{path}: is not UTF-8 text: check {name}") from None
        values[plain.removeprefix(_PREFIX).lower()] = value.removesuffix("\n").removesuffix("\r")
    return values
