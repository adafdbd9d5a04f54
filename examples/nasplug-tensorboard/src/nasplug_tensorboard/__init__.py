"""Shows the runs of nasplug in TensorBoard, as a plugin that watches."""
