"""Networks as runtimes carry them out: batch norms folded, and written as models for them."""
