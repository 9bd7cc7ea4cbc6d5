"""Scenario files: a boot state, a market, timed faults and actions, and what must hold; run stepped, in process."""
