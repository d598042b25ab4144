"""From the description that came with a robot to files of its own, and from its motors' values to its own angles."""
