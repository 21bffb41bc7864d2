"""The evaluator's bench: scripted question-and-answer benchmarks on top of `rag`.

    suites/     one short file a data set: documents, questions, gold
    engine.py   the seam to what is measured; footnote.py is `rag` behind it
    conditions.py which documents a question may search: given, closed, removed, off topic
    split.py    what the reader adapter was not trained on
    run.py      suite -> samples.jsonl; resumes, caches
    metrics/    pure functions: one sample -> numbers
    floors.py   systems that need no model, scored beside every run
    stats.py    intervals and tests
    score.py    samples.jsonl -> summary.json and report.html
    compare.py  two runs, question by question
    results.py  every development suite -> RESULTS.md, laid out by page.py
    fit.py      the coefficients of the confidence; ablation.py: what each signal is worth

Running and scoring are apart: a metric can change without asking the model again. `rag` never
imports this package; the command line finds `eval.cli` through an entry point.
"""
