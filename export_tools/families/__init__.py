"""One package for each model family that can be trained or exported."""
