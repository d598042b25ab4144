"""Files that are whole after a power cut."""
