"""The evaluator's bench: scripted question-and-answer benchmarks on top of `rag`.

    suites/     one short file a data set: documents, questions, gold
    engine.py   the seam to what is measured; footnote.py is `rag` behind it
    run.py      suite -> samples.jsonl; resumes, caches
    metrics/    pure functions: one sample -> numbers
    floors.py   systems that need no model, scored beside every run
    stats.py    intervals and tests
    score.py    samples.jsonl -> summary.json and report.html
    compare.py  two runs, question by question
    results.py  every development suite -> RESULTS.md

Running and scoring are apart: a metric can change without asking the model again. `rag` never
imports this package; the command line finds `eval.cli` through an entry point.
"""
