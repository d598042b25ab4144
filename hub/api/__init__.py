"""The hub over HTTP: requests in, answers out."""
