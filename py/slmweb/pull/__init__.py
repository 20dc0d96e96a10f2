"""Fetches models: where they come from, under which terms, and the proof of their bytes."""
