"""Room 7: the door. One small module a command."""
