"""The chat in the browser. Imports `rag`; `rag` never imports this."""

import os

# Gradio reads this when it is imported, so it stands before every module here.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
