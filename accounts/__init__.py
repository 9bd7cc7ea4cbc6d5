"""People, their roles and second factors, exchange keys, and the audit trail. Lowest of the four apps."""
