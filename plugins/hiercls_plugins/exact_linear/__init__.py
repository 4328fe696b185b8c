"""Exact radii of linear networks."""
