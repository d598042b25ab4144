"""The simulated robot: a Franka-like arm on a table in MuJoCo. Importing this package imports no simulator."""
