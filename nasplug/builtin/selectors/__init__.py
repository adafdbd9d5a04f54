"""Selectors: the rating of all paths."""
