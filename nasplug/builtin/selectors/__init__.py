"""Selectors: the rating of all paths of a supernet, and evolution by short trainings."""
