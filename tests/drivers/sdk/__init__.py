"""The driver SDK."""
