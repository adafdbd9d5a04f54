"""Energy: joules that a network takes for one image, as a plugin of nasplug."""
