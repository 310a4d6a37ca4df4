"""Upstream's program of this name: mean and deviation over seeds, from log files. See ``tools/parse_test_res.py``."""

import sys

from tools.parse_test_res import main

if __name__ == "__main__":
    sys.exit(main())
