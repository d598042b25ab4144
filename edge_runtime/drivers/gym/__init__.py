"""Any Gymnasium environment as the robot, in virtual time or in real time (docs/guides/gymnasium.md)."""
