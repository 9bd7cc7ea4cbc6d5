"""Bybit V5 JSON <-> the kernel's words. Pure: no network, no clock, no chance; one file per noun.

Everything past this package speaks `avigrid.kernel`; nothing past it sees a dict of the venue.
"""
