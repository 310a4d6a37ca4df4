"""What tools/data.py does: facts, downloading, unpacking, checking, contact sheets, documentation."""
