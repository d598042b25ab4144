"""Whether something may be installed: two signed repositories, and what was accepted before."""
