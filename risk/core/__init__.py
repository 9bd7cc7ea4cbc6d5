"""The pure part of risk: limits, checks, verdicts, sizing. No framework, no clock, no chance, no I/O."""
