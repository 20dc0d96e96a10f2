"""Written by build/generate.py."""
