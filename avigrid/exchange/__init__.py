"""The exchange: ports every venue must fill, the Bybit client, and a simulated Bybit. No web framework here."""
