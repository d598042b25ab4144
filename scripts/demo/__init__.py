"""`make demo`: a robot, a hub beside it, an update that goes through, and a broken one that rolls itself back."""
