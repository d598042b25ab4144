"""What the hub does when asked, whoever asks: its API and its commands call the same functions."""
