"""The command line: one module per topic, heavy imports inside the commands."""
