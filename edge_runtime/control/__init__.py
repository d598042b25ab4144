"""The control process: chunk buffer and supervisor in Python, the 1 kHz loop in C. The only writer to the robot."""
