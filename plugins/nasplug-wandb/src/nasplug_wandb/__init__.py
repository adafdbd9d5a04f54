"""Shows the runs of nasplug in Weights & Biases: an observer plugin."""
