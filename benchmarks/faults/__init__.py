"""Faults of the running system, injected at random moments, and what became of them. See `__main__.py`."""
