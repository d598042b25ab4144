"""The README's moving picture, made of a real run of the simulated arm: `python -m scripts.moving_picture`."""
