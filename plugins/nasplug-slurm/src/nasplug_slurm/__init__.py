"""SLURM for nasplug: independent trainings as jobs of a SLURM cluster."""
