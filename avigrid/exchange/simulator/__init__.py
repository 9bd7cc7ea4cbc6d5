"""The simulated Bybit: a pure venue and the wire around it."""
