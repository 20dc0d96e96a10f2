"""Says what a model will need and do on a device, before anybody downloads it."""
