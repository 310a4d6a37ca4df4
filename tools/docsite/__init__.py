"""Parts of the documentation site that are no pages of docs/: its home, and the pages of the Python interface."""
