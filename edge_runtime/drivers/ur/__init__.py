"""The driver of Universal Robots' arms, by RTDE and ur_rtde (docs/guides/ur.md)."""
