"""The service in a process of its own, as `footnote serve` runs it, with stand-ins for the models.

python service_driver.py INDEXES PORT [SECONDS]: SECONDS is how long the model takes for an answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fakes import TRUSTING, HashEmbedder
from serving import SAID, Several

from rag.settings import Settings
from ui.cli import run


def main() -> None:
    """Serve until a signal ends it."""
    indexes, port = Path(sys.argv[1]), int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    settings = Settings(
        collection="papers",
        indexes=indexes,
        parse_memory_mb=2048,
        questions_waiting=20,
        **TRUSTING,
    )
    model = Several("nine crowns", SAID, seconds)
    run(settings, "127.0.0.1", port, chat=False, service=True, embedder=HashEmbedder(), model=model)


if __name__ == "__main__":
    main()
