"""The address of a database as it may be shown: without passwords. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

__all__ = ["SCHEMES", "shown"]

SCHEMES = ("postgresql://", "postgres://")

_HIDDEN = "***"
_SECRET = {"password", "sslpassword"}


def shown(url: str) -> str:
    """The address without its passwords, wherever they stand in it."""
    try:
        parts = urlsplit(url)
        query = [(key, _HIDDEN if key in _SECRET else one) for key, one in parse_qsl(parts.query)]
    except ValueError:
        return re.sub(r"//.*@", f"//{_HIDDEN}@", url)
    who, at, host = parts.netloc.rpartition("@")
    user, colon, _ = who.partition(":")
    place = f"{user}{f':{_HIDDEN}' if colon else ''}{at}{host}"
    asked = urlencode(query, safe="/*", quote_via=quote)
    return f"{parts.scheme}://{place}{parts.path}{f'?{asked}' if asked else ''}"
