"""The executors of the core."""
