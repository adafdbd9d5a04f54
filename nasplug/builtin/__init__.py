"""The default plugin: the parts, methods and data sets that come with nasplug."""
