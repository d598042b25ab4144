"""The hub's two TUF repositories: what is released, and what each robot runs."""
