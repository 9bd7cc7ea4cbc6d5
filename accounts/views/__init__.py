"""Pages of accounts: log in, second factor, own sessions."""
