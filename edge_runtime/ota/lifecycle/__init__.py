"""One update from its assignment to its end, and what it asks of the robot."""
