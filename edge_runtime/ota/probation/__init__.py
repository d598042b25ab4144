"""What a bundle did on this robot, and whether it stays."""
