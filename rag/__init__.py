"""Footnote: answers from your own documents, with every sentence proved by a citation.

The stages, in order: read, chunk, embed, store, index, retrieve, evidence, prompt, generate,
attribute, decide; `assistant` wires them. Importing this package loads none of them.
"""

__version__ = "0.1.0"
