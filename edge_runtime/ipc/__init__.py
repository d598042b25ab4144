"""How the processes of a robot meet: messages, frames in shared memory, the driver port, clocks, lifelines."""
