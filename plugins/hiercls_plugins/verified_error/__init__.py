"""The measures of the verifiably trained decision trees."""
