"""Who may use the chat: accounts, their roles and groups, and which groups a collection is private to.

One file, `people.json`, changed as a whole and read again whenever it changes. A file that can't be
understood is an error for every caller, so that damage locks people out and never lets them in.
Knows nothing of requests, sessions or collections' contents.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rag.errors import InputError
from ui.database import ChatDataError, private_folder
from ui.roles import Role

__all__ = ["OWNER", "People", "Person", "Role", "is_name"]

_NAME = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
_HASH = r"^\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$"
_SHORTEST, _LONGEST = 10, 1024  # characters of a password
_LOCK_SECONDS = 30
_HASHING = threading.BoundedSemaphore(2)  # one hash takes 64 MB


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who uses the chat: `name` as it was added, what they may do, and their groups."""

    name: str
    role: Role
    groups: frozenset[str] = frozenset()


OWNER = Person("owner", "admin")  # the one user when there are no accounts

_Name = Annotated[str, Field(pattern=_NAME)]


class _Account(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    groups: frozenset[_Name] = frozenset()
    password: str = Field(pattern=_HASH)


class _File(BaseModel):
    """What `people.json` holds: accounts by name, and groups by collection."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    users: dict[_Name, _Account]
    collections: dict[_Name, frozenset[_Name]]

    @model_validator(mode="after")
    def _names_differ(self) -> _File:
        names = [name.lower() for name in self.users]
        if len(set(names)) < len(names) or OWNER.name in names:
            raise ValueError("two accounts have one name, or one is 'owner'")
        return self

    def spelled(self, name: str) -> str | None:
        """The name of the account that `name` means, in whichever case it is written."""
        return next((known for known in self.users if known.lower() == name.lower()), None)


class People:
    """The accounts in `path`. Usable from any thread; other processes may change the file.

    With `closed` a collection that is private to no group is for admins alone.

    Raises (from every method): ChatDataError where the file is damaged or can't be read.
    """

    def __init__(
        self, path: Path, *, hasher: PasswordHasher | None = None, closed: bool = False
    ) -> None:
        self.path = path
        self._closed = closed
        self._hasher = hasher or PasswordHasher()
        self._lock = threading.RLock()
        self._stamp: tuple[int, int, int] | None = None
        self._held = _File(users={}, collections={})

    @property
    def enabled(self) -> bool:
        """Whether there is any account: if not, the chat belongs to whoever sits at the machine."""
        return bool(self._file().users)

    def verify(self, name: str, password: str) -> Person | None:
        """The person whose name and password these are. An unknown name takes as long as a known.

        A password that was hashed with other parameters than today's is hashed anew.
        """
        file = self._file()
        known = file.spelled(name)
        nobody = self._nobody  # made before the branch, so that the first call tells nothing either
        stored = file.users[known].password if known else nobody
        try:
            with _HASHING:
                self._hasher.verify(stored, _normal(password[: _LONGEST + 1]))
        except VerificationError:
            return None
        if known is None:
            return None
        if self._hasher.check_needs_rehash(stored):
            self.change(known, password=password)
        return self.person(known)

    def person(self, name: str) -> Person | None:
        """The account of that name, in whichever case; None where there is none."""
        file = self._file()
        known = file.spelled(name)
        return None if known is None else _person(known, file.users[known])

    def fingerprint(self, name: str) -> str | None:
        """Changes with the password; says nothing of it. None where there is no such account."""
        file = self._file()
        known = file.spelled(name)
        if known is None:
            return None
        return hashlib.sha256(file.users[known].password.encode()).hexdigest()

    def all(self) -> list[Person]:
        """Everyone, ordered by name."""
        users = self._file().users
        return [_person(name, users[name]) for name in sorted(users, key=str.lower)]

    def add(
        self, name: str, password: str, role: Role = "reader", groups: Collection[str] = ()
    ) -> None:
        """Add an account.

        Raises:
            InputError: the name, password or a group is unfit or taken, or this would be the first
                account and is no admin.
        """
        if not is_name(name):
            raise InputError(
                f"'{name}' can't be a user's name: up to 64 letters a-z, digits, '.', '_', '@', '-'"
                ", a letter or digit first, and not 'owner'"
            )
        account = _Account(role=role, groups=_groups(groups), password=self._hash(password))

        def put(file: _File) -> None:
            if file.spelled(name) is not None:
                raise InputError(f"there is a user '{file.spelled(name)}' already")
            if not file.users and role != "admin":
                raise InputError("the first account must be an admin: give it the role 'admin'")
            file.users[name] = account

        self._change(put)

    def change(
        self,
        name: str,
        password: str | None = None,
        role: Role | None = None,
        groups: Collection[str] | None = None,
    ) -> None:
        """Change what is given of an account. A new password ends the person's sessions.

        Raises:
            InputError: there is no such account, a value is unfit, or no admin would be left.
        """
        values: dict[str, object] = {}
        if password is not None:
            values["password"] = self._hash(password)
        if role is not None:
            values["role"] = role
        if groups is not None:
            values["groups"] = _groups(groups)

        def put(file: _File) -> None:
            known = _known(file, name)
            file.users[known] = file.users[known].model_copy(update=values)
            _keep_an_admin(file, known)

        self._change(put)

    def remove(self, name: str) -> None:
        """Remove an account; its sessions end.

        Raises:
            InputError: there is no such account, or it is the last admin among others.
        """

        def put(file: _File) -> None:
            known = _known(file, name)
            del file.users[known]
            _keep_an_admin(file, known)

        self._change(put)

    def groups_of(self, collection: str) -> frozenset[str]:
        """The groups that a collection is private to; empty: everyone who may log in reads it."""
        return self._file().collections.get(collection, frozenset())

    def restrict(self, collection: str, groups: Collection[str]) -> None:
        """Make a collection private to `groups`; an empty set opens it to everyone again.

        Raises:
            InputError: the collection or a group can't be called that.
        """
        if not re.fullmatch(_NAME, collection):
            raise InputError(f"'{collection}' can't be a collection's name")
        private_to = _groups(groups)

        def put(file: _File) -> None:
            file.collections.pop(collection, None)
            if private_to:
                file.collections[collection] = private_to

        self._change(put)

    def may_read(self, person: Person, collection: str) -> bool:
        """Ask about a collection and see its documents. An admin may, always."""
        private_to = self.groups_of(collection)
        if person.role == "admin":
            return True
        return bool(private_to & person.groups) if private_to else not self._closed

    def may_edit(self, person: Person, collection: str) -> bool:
        """Add and remove a collection's documents."""
        return person.role in ("editor", "admin") and self.may_read(person, collection)

    def may_administer(self, person: Person) -> bool:
        """See the audit log and manage what belongs to everyone."""
        return person.role == "admin"

    @functools.cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(os.urandom(16))

    def _hash(self, password: str) -> str:
        length = len(unicodedata.normalize("NFKC", password))
        if not _SHORTEST <= length <= _LONGEST:
            raise InputError(f"a password needs {_SHORTEST} to {_LONGEST} characters, not {length}")
        with _HASHING:
            return self._hasher.hash(_normal(password))

    def _file(self) -> _File:
        """The file as it is now, from memory if it hasn't changed."""
        with self._lock:
            try:
                if self._stamp == _stamp(os.stat(self.path)):
                    return self._held
                with open(self.path, "rb") as file:
                    stamp, content = _stamp(os.fstat(file.fileno())), file.read()
            except FileNotFoundError:
                if self._held.users:
                    raise self._damaged("it is gone; start anew to go on without users") from None
                return self._held
            except OSError as error:
                raise self._damaged(error.strerror or "it can't be read") from None
            try:
                self._held = _File.model_validate(json.loads(content))
            except ValidationError as error:
                first = error.errors(include_input=False)[0]
                # The innermost place only: no value of the file goes into a message.
                place = str((*first["loc"], "file")[0])
                raise self._damaged(f"{place}: {first['msg']}") from None
            except (ValueError, RecursionError):
                raise self._damaged("it is not JSON") from None
            self._stamp = stamp
            return self._held

    def _damaged(self, reason: str) -> ChatDataError:
        self._stamp = None
        return ChatDataError(
            f"{self.path}: the users can't be read, so nobody is let in ({reason}): "
            "put back a copy of the file"
        )

    def _change(self, put: Callable[[_File], None]) -> None:
        """Let `put` alter a copy of the file, then put the copy in its place, all or nothing."""
        private_folder(self.path.parent)
        lock = FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_SECONDS, mode=0o600)
        try:
            with self._lock, lock:
                file = self._file()
                copy = _File(users=dict(file.users), collections=dict(file.collections))
                put(copy)
                _replace(self.path, copy.model_dump_json(indent=1))
                # A file without users is not the same as one that is gone.
                self._held, self._stamp = copy, None
        except Timeout:
            raise ChatDataError(f"{self.path}: another process is changing it: try again") from None
        except OSError as error:
            raise ChatDataError(
                f"{self.path}: can't be written ({error.strerror}): check the disk and permissions"
            ) from None


def is_name(name: str) -> bool:
    """Whether an account may be called that."""
    return bool(re.fullmatch(_NAME, name)) and name.lower() != OWNER.name


def _person(name: str, account: _Account) -> Person:
    return Person(name, account.role, account.groups)


def _known(file: _File, name: str) -> str:
    known = file.spelled(name)
    if known is None:
        raise InputError(f"there is no user '{name}': see `footnote users list`")
    return known


def _keep_an_admin(file: _File, name: str) -> None:
    if file.users and all(account.role != "admin" for account in file.users.values()):
        raise InputError(f"'{name}' is the last admin: make somebody else an admin first")


def _groups(groups: Collection[str]) -> frozenset[str]:
    for group in groups:
        if not re.fullmatch(_NAME, group):
            raise InputError(f"'{group}' can't be a group's name: use letters a-z, digits, '.-_@'")
    return frozenset(groups)


def _normal(password: str) -> bytes:
    """The bytes that are hashed: however a keyboard composed the characters, the same ones."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _replace(path: Path, text: str) -> None:
    """Write beside `path`, flush, and rename: readers see the old file or the new one, whole."""
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=".people-")  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
