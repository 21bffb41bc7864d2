"""Other systems over the same documents, questions, embedder and generator weights, beside ours.

`python -m eval.bench.peers` runs each in a process of its own, as its own quick start has it.
"""
