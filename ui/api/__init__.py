"""The HTTP service: Footnote for programs, in its own words and in OpenAI's.

contract.py      an answer; models.py: all else that goes in and out
errors.py        every error as one kind of JSON
envelope.py      what surrounds every request: its number, slow clients, what went wrong inside
follow.py        an answer awaited or streamed; a client that leaves stops it
ask.py           questions             search.py         passages
collections.py   collections           documents.py      documents and uploads
conversations.py the history, verdicts
openai.py        OpenAI's chat completions and models; openai_models.py, openai_tasks.py
operations.py    readiness, metrics, the list of routes
metrics.py       counters for Prometheus
traces.py        spans for OpenTelemetry
app.py           all of it as one application
"""
