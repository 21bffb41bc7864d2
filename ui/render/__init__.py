"""Records -> HTML, in pure functions: no server, store or model is known here."""
