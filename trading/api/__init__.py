"""The API of trading: signals, plans, positions, orders, fills, configuration, reconciliation."""
