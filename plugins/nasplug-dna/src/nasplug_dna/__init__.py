"""DNA: block-wisely supervised neural architecture search with knowledge distillation."""
