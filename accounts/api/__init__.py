"""The API of accounts, and what every API view of the house stands on: authentication, throttles, idempotency."""
