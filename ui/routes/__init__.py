"""What the page asks the server for besides the conversation itself: fragments, files, actions."""

from ui.routes import conversations, documents, exports, page, sources

__all__ = ["ROUTES"]

ROUTES = (page.routes, sources.routes, documents.routes, conversations.routes, exports.routes)
"""Each makes a router from the services."""
