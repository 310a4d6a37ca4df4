"""Runs that are killed, and machines that fail."""
