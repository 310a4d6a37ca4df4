"""Mean and deviation over seeds, from log files: ``python tools/parse_test_res.py --help``."""

import sys

from installed import require_packages, require_python

require_python()
require_packages("tools/parse_test_res.py", only=("clip_prompts",))

from clip_prompts.report.log_summary import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
