"""The parts of ``tools/report.py``: records are read, grouped into cells, laid out as tables and written."""
