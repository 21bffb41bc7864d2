"""Who is next: a queue that is fair to people, not to questions.

People take turns: each is served one question, then stands behind all others who wait. So somebody
with many questions keeps nobody waiting behind them all, and whoever comes is served after at most
one question of each who was there. Knows nothing of answers. Not locked: its owner is.
"""

from __future__ import annotations

from collections import OrderedDict, deque

__all__ = ["Line"]


class Line:
    """Keys waiting, each under a person's name."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._waiting.values())

    def join(self, person: str, key: str) -> None:
        """Wait behind the person's own earlier keys."""
        self._waiting.setdefault(person, deque()).append(key)

    def leave(self, key: str) -> bool:
        """Stop waiting; False where the key was not."""
        for person, keys in self._waiting.items():
            if key in keys:
                keys.remove(key)
                if not keys:
                    del self._waiting[person]
                return True
        return False

    def waiting(self, person: str) -> int:
        """How many keys of a person wait."""
        return len(self._waiting.get(person, ()))

    def order(self) -> list[str]:
        """Every key in the order in which they will be served if nobody else comes."""
        rounds = max((len(keys) for keys in self._waiting.values()), default=0)
        return [
            keys[at] for at in range(rounds) for keys in self._waiting.values() if at < len(keys)
        ]

    def take(self) -> str | None:
        """The next key, which no longer waits; None where nobody does."""
        if not self._waiting:
            return None
        person, keys = self._waiting.popitem(last=False)
        key = keys.popleft()
        if keys:
            self._waiting[person] = keys
        return key
