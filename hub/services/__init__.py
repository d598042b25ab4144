"""What the hub does when asked, whoever asks: its API and its commands call the same functions.

Functions of values and a unit of work. They know no request and no command line.
"""
