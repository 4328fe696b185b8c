"""Plain training."""
