"""What robot, hub and exporter agree on: messages, topics, embodiments, manifests, errors.

Imports nothing else of this project, opens no socket and starts no thread.
"""
