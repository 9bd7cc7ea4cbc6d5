"""What changes accounts. Each service is one transaction and leaves an audit entry."""
