"""The parts of the HTML page: its figures, what they are drawn from, and its template, style and script."""
