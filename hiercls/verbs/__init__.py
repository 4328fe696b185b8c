"""Room 6: what can be done with a run."""
