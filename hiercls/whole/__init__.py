"""Room 5: the assembled classifier, the plan that builds it, and the run that keeps it."""
