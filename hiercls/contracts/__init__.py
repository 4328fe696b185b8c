"""Room 3: what a plugin may be, and the loops that every plugin shares."""
