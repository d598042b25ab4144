"""A page on localhost that shows a running robot: its cameras, live, and what it says about itself."""

from edge_runtime.page.server import Page, require_free_port

__all__ = ["Page", "require_free_port"]
