"""Scenes and episodes in simulation: laid out, instructed, judged, counted. Control and drivers know none of it."""
