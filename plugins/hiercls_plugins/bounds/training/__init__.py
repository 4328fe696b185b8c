"""Training on bounds: what its trainers share."""
