"""Robots that others described, under hostile input, judged by code that is not the kernel's."""
