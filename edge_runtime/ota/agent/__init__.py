"""The update agent's process: its threads, its side of the bus, what it says."""
