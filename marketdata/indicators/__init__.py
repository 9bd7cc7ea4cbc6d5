"""Indicators, pure: one set of formulas in an incremental, a batch and a compiled form."""
