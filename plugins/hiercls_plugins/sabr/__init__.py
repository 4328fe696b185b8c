"""Small boxes around adversarial points."""
