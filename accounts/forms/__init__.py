"""Forms and what they refuse."""
