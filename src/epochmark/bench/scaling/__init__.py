"""Scaling: the same training on one device and on several, in turns, each proven."""
