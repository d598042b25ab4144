"""A family of somebody else's: a robot that coasts. Installed as a package of its own; imports no test."""
