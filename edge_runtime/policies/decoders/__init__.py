"""From what the graphs say of an observation to normalized actions: one decoder for each kind of policy."""
