"""AVI-5, pure: the only place where trading decisions are made.

Live, paper, backtest and calibration call these functions; nothing else decides.
"""
