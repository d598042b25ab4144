"""The driver of a robot behind ROS 2 topics, over DDS or Zenoh, without a ROS installation (docs/guides/ros2.md)."""
