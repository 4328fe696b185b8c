"""Interval bound propagation: training with it and certifying by it."""
