"""Programs next to train.py."""
