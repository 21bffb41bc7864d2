"""The chat in the browser. Imports `rag`; `rag` never imports this."""
