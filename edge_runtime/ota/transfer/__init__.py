"""The bytes of a release, over a network that fails."""
