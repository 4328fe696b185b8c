"""Interval bounds of networks: shared arithmetic of the methods that stand on it, no components of its own."""
