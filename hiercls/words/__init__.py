"""Room 1: the words that every other room speaks. No torch here."""
