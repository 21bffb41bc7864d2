"""The address of a database as it may be shown: without passwords. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["SCHEMES", "shown"]

SCHEMES = ("postgresql://", "postgres://")

_HIDDEN = "***"
_SECRET = {"password", "sslpassword"}
# libpq takes any "#" and "?" before the "@" for a part of the password, and who mistypes an address
# may leave a "/" in it: all up to the last "@" is hidden, rather too much than too little.
_PASSWORD = re.compile(r"^(\w+://[^:@]*):.*@", re.DOTALL)
_PARAMETER = re.compile(r"([?&])([^=&?]*)=[^&]*")


def shown(url: str) -> str:
    """The address without its passwords, wherever they stand in it."""

    def hidden(found: re.Match[str]) -> str:
        secret = unquote(found[2]).lower() in _SECRET
        return f"{found[1]}{found[2]}={_HIDDEN}" if secret else found[0]

    return _PARAMETER.sub(hidden, _PASSWORD.sub(rf"\1:{_HIDDEN}@", url))
