"""Who moves weights and architecture parameters: bilevel and one-level descent, random search, fixed architectures."""
