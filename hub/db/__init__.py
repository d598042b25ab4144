"""What the hub remembers of robots: a small database. What is released and assigned lies in signed files instead."""
