"""Learn prompts for CLIP, or evaluate learned ones: ``python train.py --help``."""

import sys

from clip_prompts.common.environment import require_python

require_python()

from clip_prompts.run.program import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
