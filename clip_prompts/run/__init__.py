"""What ``train.py`` is made of: arguments, config, checks, records."""
