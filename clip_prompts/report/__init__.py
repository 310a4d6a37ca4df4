"""Reports: records are read, grouped into cells, laid out as tables and written."""
