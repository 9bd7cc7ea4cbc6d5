"""One pure function per check: (request, snapshot, limits, now_ms) -> Outcome. Mirror images get mirror answers."""
