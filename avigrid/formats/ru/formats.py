"""Numbers look the same in every language: as the exchange writes them, with a point."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = "\u202f"
NUMBER_GROUPING = 3
