"""A page on localhost that shows a running robot: its cameras, live, and what it says about itself."""

from edge_runtime.page.server import Page

__all__ = ["Page"]
