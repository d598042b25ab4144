"""From the description that came with a robot to the files of this project, and from motors to the robot's own angles."""
