"""A Ray cluster to work on: joined or made for the moment, its nodes examined, its failures told.

Ray is kept quiet: no dashboard, no usage statistics, no logs on the terminal. What goes wrong on a
node comes back as one line that names the node. Knows nothing of documents beyond their paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rag import __version__
from rag.errors import ClusterError, InputError, RagError
from rag.hardware import thread_count
from rag.plan import spelled

__all__ = ["examine", "failures", "fitting", "here", "joined"]

_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning about GPUs
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # of what Ray's core says on standard error
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of tasks whose run has ended
    "RAY_USAGE_STATS_ENABLED": "0",
}
_CONNECT_S = 5
_EXAMINE_S = 60
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"

Seen = list[tuple[bytes, int]]
"""Paths with their sizes in bytes; -1 for a folder."""


@contextlib.contextmanager
def joined(address: str) -> Iterator[None]:
    """Work on the cluster at `address`: HOST:PORT or ray://HOST:PORT.

    `auto` is the one that this machine is part of; `local` is made of this machine alone, for as long
    as the block lasts, and listens on the loopback interface only. Within the block nothing reaches
    standard output.

    Raises:
        ClusterError: there is none, it can't be reached, or Ray is not installed.
    """
    os.environ.update(_QUIET)
    if address == "local":
        os.environ[_LOOPBACK] = "0"  # read when Ray is imported; its name tells where it began
    try:
        import ray
    except ModuleNotFoundError:
        raise ClusterError("Ray is not installed: pip install 'footnote[ray]'") from None

    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"address": address}
        if address == "local":
            # A socket's path may have 107 bytes: not below a long TMPDIR.
            folder = tempfile.TemporaryDirectory(
                prefix="footnote-ray-", dir="/tmp", ignore_cleanup_errors=True
            )
            options |= {
                "_temp_dir": stack.enter_context(folder),
                "include_dashboard": False,
                "num_cpus": thread_count(0),
            }
        elif address != "auto":
            _check_reachable(address)
        # There Ray says which workers it lost; their files are done again, and its log has it, too.
        stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        stack.callback(ray.shutdown)
        try:
            with _hushed():
                ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, ImportError, OSError, RuntimeError, ValueError) as error:
            reason = _line(error).split(". ")[0]
            raise ClusterError(f"cluster '{address}': {reason}: {_REMEDY}") from None
        _set_up_data()
        yield


_REMEDY = (
    "start one with 'ray start --head', name another with --address, or use this machine alone "
    "with --address local"
)


def _set_up_data() -> None:
    """Ray Data writes to its own log alone, and hands on what a worker raised."""
    import ray.data

    logger = logging.getLogger("ray.data")
    for handler in logger.handlers[:]:
        if isinstance(handler, logging.StreamHandler):
            logger.removeHandler(handler)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep off standard error what Ray's core says of its own log while it starts."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterError(f"cluster '{address}': {_line(error)}: {_REMEDY}") from None


def _nodes() -> list[dict[str, Any]]:
    """Ray's records of the nodes that are alive and have processors."""
    import ray

    return [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU")]


def fitting(wanted: int, threads: int) -> int:
    """`wanted` workers of so many threads, or as many as there is room for.

    Raises:
        ClusterError: there is room for fewer.
    """
    room = sum(int(one["Resources"]["CPU"] // threads) for one in _nodes())
    if room < max(wanted, 1):
        raise ClusterError(
            f"the cluster has room for {room} workers of {threads} threads, not "
            f"{max(wanted, 1)}: lower --workers or the setting 'threads', or add nodes"
        )
    return wanted or room


def examine(paths: Sequence[Path]) -> None:
    """See that every node has this version of Footnote and the same files at `paths`.

    Raises:
        InputError: one has not.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Affinity

    seen = [(os.fsencode(path), _size(path)) for path in paths if path.exists()]
    look = ray.remote(_differing)
    asked = [
        (
            one["NodeManagerAddress"],
            look.options(
                num_cpus=0, scheduling_strategy=Affinity(one["NodeID"], soft=False)
            ).remote(__version__, seen),
        )
        for one in _nodes()
    ]
    for name, answer in asked:
        try:
            problem = ray.get(answer, timeout=_EXAMINE_S)
        except (ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
            continue  # gone meanwhile
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            problem = f"can't run Footnote ({_line(cause)}): install version {__version__}"
        if problem:
            raise InputError(f"node {name}: {problem}")


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Tell what failed on the cluster as this program's own errors: one line.

    Raises:
        RagError: what a worker raised.
        ClusterError: workers or nodes were lost too often.
    """
    import ray.exceptions
    from ray.data.exceptions import ExecutionTimeoutError

    try:
        yield
    except ExecutionTimeoutError:
        raise ClusterError(
            "the cluster has done nothing for half an hour: see that its processors are free, and "
            "that no file takes a worker's memory, then run the same command again"
        ) from None
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, RagError):
            raise type(cause)(_line(cause)) from None  # Ray adds lines of its own
        if isinstance(cause, Exception):
            raise  # a mistake of the program
        raise ClusterError(
            f"the cluster lost too many workers ({_line(error)}): see that its nodes run and "
            "have memory left, then run the same command again: it goes on where it was"
        ) from None


@contextlib.contextmanager
def here() -> Iterator[None]:
    """On a worker: name its node in whatever this program raises."""
    import ray

    try:
        yield
    except RagError as error:
        raise type(error)(f"node {ray.util.get_node_ip_address()}: {error}") from None


def _size(path: Path) -> int:
    return -1 if path.is_dir() else path.stat().st_size


def _differing(version: str, seen: Seen) -> str:
    """On a node: how it differs from the driver; "" where it doesn't."""
    if version != __version__:
        return f"has Footnote {__version__}, not {version}: install the same on every node"
    for name, size in seen:
        path = Path(os.fsdecode(name))
        try:
            if _size(path) == size:
                continue
            problem = "is not the same there"
        except OSError as error:
            problem = f"can't be reached ({error.strerror})"
        return f"{spelled(path)} {problem}: let every node have the folder under the same path"
    return ""


def _line(error: object) -> str:
    """The first line of what Ray says, without its full stop."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[0].split()).rstrip(".:") if lines else type(error).__name__
