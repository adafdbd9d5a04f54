"""Architecture optimizers: bilevel, one-level, single-path and random search."""
