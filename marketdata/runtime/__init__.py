"""The market-data process without its roof: streams in, bars and features stored, decisions called in order.

`service.MarketDataService` is what a command runs; the strategy loop gives it a callback.
"""
