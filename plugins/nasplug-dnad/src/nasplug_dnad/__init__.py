"""DNAD: SNPS with feature distillation, as a plugin of nasplug."""
