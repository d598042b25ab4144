"""One policy: the newest admitted observation in, an action chunk in physical units out.

Knows nothing of control, drivers or the hub; it meets them on the bus.
"""
