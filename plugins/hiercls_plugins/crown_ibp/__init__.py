"""CROWN-IBP: training with linear bounds over interval bounds, and certifying by them."""
