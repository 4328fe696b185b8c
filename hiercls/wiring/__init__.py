"""Room 4: plugins are found, and a YAML becomes checked values. No torch here."""
