"""DARTS-PT: selection of architectures by perturbation, as a plugin of nasplug."""
