"""The Bybit V5 client: REST through pybit, streams through websockets, one pure codec for both."""
