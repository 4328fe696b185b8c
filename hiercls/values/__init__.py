"""Room 2: trees, heads, inputs, draws, certificates, and the law that composes them."""
