"""Readers for Bybit's downloadable files and for plain kline CSV. No network, no database."""
