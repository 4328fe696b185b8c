"""Losses between a lower and an upper bound of the robust loss."""
