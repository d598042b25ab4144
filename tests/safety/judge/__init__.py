"""A judge of the kernel that shares nothing with it: MuJoCo says where links are and how far apart, from the robot's
own description, while the kernel is driven by setpoints that want links to meet."""
