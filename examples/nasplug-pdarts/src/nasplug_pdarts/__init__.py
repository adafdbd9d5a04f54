"""P-DARTS: search in supernets that grow, as a plugin of nasplug."""
