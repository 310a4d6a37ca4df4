"""Prompt learning for CLIP: the package behind ``train.py`` and the methods in ``trainers/``."""
