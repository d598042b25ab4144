"""The page of a robot: a process of its own that looks at the bus and at files, and asks what a person asks for."""
