"""Upstream's program of this name: mean and deviation over seeds, from log files. See ``tools/parse_test_res.py``."""

import sys

from clip_prompts.common.environment import require_python

require_python()

from clip_prompts.report.log_summary import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
