"""Checks of search spaces: their genotypes, their networks and their supernets."""
