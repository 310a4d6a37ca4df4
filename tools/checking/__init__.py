"""Checks of a method on the embedded data, behind ``tools/check_method.py``."""
