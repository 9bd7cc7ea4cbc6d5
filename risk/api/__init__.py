"""The API of risk: limits, trading state, kill switch."""
