"""Kills everything at random, over and over, and checks after each round that nothing was lost or doubled."""
