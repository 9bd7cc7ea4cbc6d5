"""AviGrid: the roof (wiring) and the ground floor (kernel, exchange, common)."""
