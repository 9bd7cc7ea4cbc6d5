"""The words of the domain. Pure: no framework, no clock, no chance, no I/O."""
