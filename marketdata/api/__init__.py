"""The API of market data: instruments, bars, book features. Floats, because indicators are computed from them."""
