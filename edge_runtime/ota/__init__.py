"""Updates of the model bundle: trusted metadata, bytes, slots and the life cycle of one update on one robot."""
