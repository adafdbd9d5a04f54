"""SD-DARTS: DARTS whose supernet also learns from its own past, as a plugin of nasplug."""
