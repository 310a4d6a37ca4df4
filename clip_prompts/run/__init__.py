"""Parts of ``train.py``: arguments, config, checks."""
