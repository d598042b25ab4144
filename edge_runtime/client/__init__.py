"""A robot seen from outside its processes: what it says of itself, and requests to it."""
