"""Inter-group robustness prioritised: one flat network trained for the groups of a tree."""
