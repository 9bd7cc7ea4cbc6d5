"""Research, pure: replays of the strategy over recorded bars, its measures and its honesty checks."""
