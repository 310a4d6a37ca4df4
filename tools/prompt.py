"""Use, share and export a learned prompt: ``python tools/prompt.py --help``. After installing: ``clip-prompts``."""

import sys

from installed import require_packages, require_python

require_python()
require_packages("tools/prompt.py", only=("clip_prompts",))

from clip_prompts.prompt.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
