"""PC-DARTS: partial channel connections and edge normalisation, as a plugin of nasplug."""
