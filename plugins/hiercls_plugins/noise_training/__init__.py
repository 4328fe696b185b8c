"""Training on Gaussian noise beyond plain augmentation: SmoothAdv, consistency, MACER."""
