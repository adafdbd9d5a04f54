"""Shows the runs of nasplug in MLflow: an observer plugin."""
