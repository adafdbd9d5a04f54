"""GDAS: differentiable sampling of architectures, as a plugin of nasplug."""
