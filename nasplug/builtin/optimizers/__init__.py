"""Who moves weights and architecture parameters: bilevel, one-level, single-path, random search, weights alone."""
