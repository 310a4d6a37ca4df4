"""CLIP's encoders, written for speed; ``tests/trainers`` holds their plain twins."""

import clip_prompts.backbones  # noqa: F401  (imports clip without its warning)
