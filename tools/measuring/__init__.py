"""What ``tools/benchmark.py`` is made of: models to measure, the plain way to compare with, clocks and counters."""
