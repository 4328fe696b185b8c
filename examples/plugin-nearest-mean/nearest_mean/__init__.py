"""Decide for the class whose mean is nearest."""
