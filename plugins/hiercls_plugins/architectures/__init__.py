"""First-party architectures."""
