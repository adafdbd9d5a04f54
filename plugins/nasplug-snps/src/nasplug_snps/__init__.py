"""SNPS: search by progressive shrinking of a supernet, as a plugin of nasplug."""
