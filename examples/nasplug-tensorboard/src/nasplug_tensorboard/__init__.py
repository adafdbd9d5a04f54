"""Shows the runs of nasplug in TensorBoard: an observer plugin."""
