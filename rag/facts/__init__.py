"""What a sentence states that can be checked: numbers, dates, names and what it denies. Pure.

A text is read once (`parse`) into tokens and mentions; the checks compare two such texts. How the
findings become a verdict is for `rag.verify` to say. English words only; knows no model.
"""
