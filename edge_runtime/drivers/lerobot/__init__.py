"""Any robot of LeRobot, or of a `lerobot_robot_*` plug-in, behind the driver port (docs/guides/lerobot.md)."""
