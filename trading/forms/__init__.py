"""Forms of the trading app."""
