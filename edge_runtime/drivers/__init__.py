"""Robots: the driver port, the camera seam, and one package for each driver."""
