"""Label trees from the last layer of a trained network."""
