"""Ray for nasplug: independent trainings as tasks of a Ray cluster."""
