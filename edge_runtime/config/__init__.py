"""The files that people write about a robot, read strictly."""
