"""Projected gradient attacks on deployed classifiers."""
