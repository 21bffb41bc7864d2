"""GET /health: the server lives, and whether it is still the same run of it."""

from __future__ import annotations

import secrets

from fastapi import APIRouter

__all__ = ["routes"]

_BOOT = secrets.token_hex(8)  # another one after a restart: open pages then load anew


def routes() -> APIRouter:
    """The router; what it says is for everybody."""
    router = APIRouter(tags=["service"])

    @router.get("/health")
    def health() -> dict[str, str]:
        """The service lives; `boot` is another one after a restart."""
        return {"boot": _BOOT}

    return router
