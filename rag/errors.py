"""Every error that Footnote raises on purpose. Each message names what is wrong and the remedy.

RagError
├── SettingsError      a setting is unknown or has a bad value
├── ReadError          one file can't be read; the rest of its folder still can
├── CollectionError    a collection is missing, damaged or was built with other settings
│   └── StoreUnavailable   a database's server is away, overloaded or died: it may pass
├── ModelError         weights are missing, damaged or can't be loaded; an endpoint fails
│   ├── ModelUnavailable   a model server is away, overloaded or broke off: it may pass
│   └── ModelBusy          as many requests are under way as may be: ask again later
├── ClusterError       a cluster of machines is away, or lost too many of them
└── InputError         a question, batch line or suite row is not what it should be
"""

from __future__ import annotations

__all__ = [
    "RagError",
    "SettingsError",
    "ReadError",
    "CollectionError",
    "StoreUnavailable",
    "ModelError",
    "ModelUnavailable",
    "ModelBusy",
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


class StoreUnavailable(CollectionError):
    """The server that keeps collections is away, overloaded or died: the same may work later."""


class ModelError(RagError):
    """Model weights are missing, damaged or can't be loaded, or a model server fails."""


class ModelUnavailable(ModelError):
    """A model server can't be reached, is overloaded or broke off; nothing here needs mending."""


class ModelBusy(ModelError):
    """As many requests to the model are under way as the settings allow, and waiting was in vain."""


class ClusterError(RagError):
    """A cluster of machines can't be reached, has no room, or lost too many workers."""


class InputError(RagError):
    """What was asked (a question, a batch line, a suite row) is not what it should be."""
