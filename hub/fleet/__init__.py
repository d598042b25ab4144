"""Who the robots are, what they reported, and how they stand to what they were assigned."""
