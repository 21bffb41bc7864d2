"""Reading: files to documents, each format by a module of its own, in processes with limits.

    find_files   which files of a folder are documents, and why the others are not
    read_files   read them one after the other; a file that fails does not stop the rest
    read_file    read one
    normalise    the one form of text that all offsets count in
    Limits       what reading one file may cost
    Worker       the reading process itself, for who asks it more than once

Tables become one line per row, each value with the names of its row and column (`rag.read.tables`);
txt, md and csv keep their characters. Knows nothing of chunks, stores or models.
"""

from __future__ import annotations

from rag.read.draft import normalise
from rag.read.files import FileList, find_files
from rag.read.limits import Limits
from rag.read.pool import Worker, read_file, read_files

__all__ = ["find_files", "read_files", "read_file", "normalise", "Limits", "FileList", "Worker"]
