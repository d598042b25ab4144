"""Installed bundles, read again and healed."""
