"""Pure parts of accounts: roles, audit digests, secrets' strength. No Django."""
