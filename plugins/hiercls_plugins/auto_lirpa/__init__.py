"""A second engine of bounds: certifying by auto_LiRPA, where it is installed."""
