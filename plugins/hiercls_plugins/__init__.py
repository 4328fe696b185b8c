"""The first-party methods, which enter by the same door as a stranger's."""
