"""Markets for the simulated exchange: made up, replayed from files, or the real public stream. One interface:
feed.Source.
"""
