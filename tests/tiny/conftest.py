"""Training pictures need fonts that matplotlib ships from 3.11 on; running the trained model does not."""

import pytest

from clip_prompts.common.errors import UserError
from clip_prompts.data.rendering.glyphs import TEXT_FONTS, font_path


def pytest_collection_modifyitems(items):
    try:
        for name in TEXT_FONTS:
            font_path(name)
    except UserError as error:
        for item in items:
            if "/tests/tiny/" in item.path.as_posix() and "state_dict" not in item.path.name:
                item.add_marker(pytest.mark.skip(reason=str(error)))
