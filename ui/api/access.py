"""What every route needs to know of who asks: what they may read and what they may change.

What a person may not read looks like what is not there.
"""

from __future__ import annotations

from fastapi import Request

from ui.api.errors import Problem, missing
from ui.guard import person_of
from ui.people import Person
from ui.services import Services

__all__ = ["editor", "reader", "trace_of"]


def reader(services: Services, request: Request, collection: str) -> Person:
    """Who asks, if they may read the collection.

    Raises:
        Problem: they may not, or there is none.
    """
    person = person_of(request)
    if collection not in services.library.names(person):
        raise missing("There is no such collection here.")
    return person


def editor(services: Services, request: Request, collection: str) -> Person:
    """Who asks, if they may change the collection.

    Raises:
        Problem: they may not, or there is none.
    """
    person = reader(services, request, collection)
    if not services.people.may_edit(person, collection):
        raise Problem(403, f"You may read '{collection}' but not change it: ask an editor.")
    return person


def trace_of(request: Request) -> object:
    """The trace that a request is part of, for `ui.api.traces`."""
    return request.scope.get("state", {}).get("trace")
