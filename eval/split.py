"""Which development questions the reader adapter was never trained on. Pure.

Of SQuAD whole articles are kept back, of CLAPNQ and RAMDocs 45 questions in 100 by a hash of their
ids; of every other suite, all.
"""

from __future__ import annotations

import hashlib

from eval.records import Question

__all__ = ["HELD_OUT_ARTICLES", "is_held_out"]

HELD_OUT_ARTICLES = ("Scottish_Parliament", "Imperialism", "French_and_Indian_War")
_TRAINED_SHARE = 0.55


def is_held_out(suite: str, question: Question) -> bool:
    """Whether a question was kept from training."""
    if suite == "squad":
        return question.cluster.startswith(HELD_OUT_ARTICLES)
    return suite not in ("clapnq", "ramdocs") or _order(question.id) >= _TRAINED_SHARE


def _order(identifier: str) -> float:
    """A number in [0, 1) that depends on the identifier alone."""
    return int(hashlib.sha256(identifier.encode()).hexdigest()[:8], 16) / 2**32
