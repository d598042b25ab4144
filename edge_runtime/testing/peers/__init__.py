"""Simulated other sides of real protocols, each a process of its own that misbehaves on command: for drivers' tests."""
