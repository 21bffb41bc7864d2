"""Every error that Footnote raises on purpose. Each message names what is wrong and the remedy.

RagError
├── SettingsError      a setting is unknown or has a bad value
├── ReadError          one file can't be read; the rest of its folder still can
├── CollectionError    a collection is missing, damaged or was built with other settings
├── ModelError         weights are missing, damaged or can't be loaded; an endpoint fails
├── ClusterError       a cluster of machines is away, or lost too many of them
└── InputError         a question, batch line or suite row is not what it should be
"""

from __future__ import annotations

__all__ = [
    "RagError",
    "SettingsError",
    "ReadError",
    "CollectionError",
    "ModelError",
    "ClusterError",
    "InputError",
]


class RagError(Exception):
    """The base of them all: catch this to show one line and exit with status 1."""


class SettingsError(RagError):
    """A setting is unknown or has a bad value."""


class ReadError(RagError):
    """A file can't be read. The message gives the reason alone; the caller names the file."""


class CollectionError(RagError):
    """A collection is missing, damaged, or was built with other settings."""


class ModelError(RagError):
    """Model weights are missing, damaged or can't be loaded, or a model server fails."""


class ClusterError(RagError):
    """A cluster of machines can't be reached, has no room, or lost too many workers."""


class InputError(RagError):
    """What was asked (a question, a batch line, a suite row) is not what it should be."""
