"""Helpers for all rooms: errors, files, text, facts about methods and datasets. Imports nothing heavy."""
