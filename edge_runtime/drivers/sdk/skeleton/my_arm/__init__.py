"""Driver of my_arm for edge-runtime."""
