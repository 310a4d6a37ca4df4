"""The parts of ``tools/benchmark.py``: models to measure, the plain way to compare with, clocks and counters."""
