"""Prepares a model for download by browsers: chunks and a manifest."""
