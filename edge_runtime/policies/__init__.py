"""What robot and exporter run alike: sessions of graphs, and the processor that they run on.

Stands on the contracts alone. Whoever asks this room for the same thing gets the same numbers.
"""
