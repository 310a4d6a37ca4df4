"""Writes the tables of ``docs/config.md``, the page of all settings, from ``clip_prompts/records/settings.json``.

Usage: python tools/config_docs.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "docs" / "config.md"


def page() -> str:
    """Returns the text of ``docs/config.md``: its introduction as it is, and new tables."""
    from clip_prompts.common.trees import flat
    from clip_prompts.records.settings import SETTINGS
    from clip_prompts.run.config import default_config

    introduction = PATH.read_text(encoding="utf-8").partition("\n\n## ")[0]
    defaults, lines, group = flat(default_config()), [introduction], None
    for setting in SETTINGS.values():
        if (own := setting.key.rpartition(".")[0]) != group:
            group = own
            lines += [f"\n## {group or 'General'}\n", "| setting | default | values | meaning |", "|---|---|---|---|"]
        name = f"`{setting.key.rpartition('.')[2]}`{' °' if setting.irrelevant else ''}"
        default = '""' if defaults[setting.key] == "" else defaults[setting.key]
        cells = (name, f"`{default}`", setting.rule.words, setting.text)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    from clip_prompts.common.files import write_text_atomically
    from clip_prompts.run.checkout import load_checkout

    load_checkout("trainers")  # declares the settings of the methods
    write_text_atomically(PATH, page())
    print(f"Written: {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
