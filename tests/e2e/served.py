"""A chat in a process of its own, for tests that measure or kill it: FOLDER PORT SECONDS-A-WORD."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from chatsite import Writer, start_site

if __name__ == "__main__":
    folder, port, pace = sys.argv[1:]
    model = Writer(pace_s=float(pace))
    with start_site(Path(folder), port=int(port), model=model, questions_waiting=100) as site:
        print(site.address, flush=True)
        threading.Event().wait()
