"""Write the tables of docs/config.md, the page of all settings, from clip_prompts/records/settings.json.

examples:
  python tools/config_docs.py            # write the tables
  python tools/config_docs.py --check    # only say whether they are out of date; exit status 1 if they are
"""

import argparse
import sys
from pathlib import Path

from installed import require_packages

require_packages("tools/config_docs.py")

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


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a table is out of date")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    from clip_prompts.common.files import write_text_atomically
    from clip_prompts.run.checkout import load_checkout

    load_checkout("trainers")  # declares the settings of the methods
    new = page()
    if new == PATH.read_text(encoding="utf-8"):
        print(f"{PATH.name} is up to date")
        return 0
    if args.check:
        print(f"{PATH.name} is out of date. Run: python tools/config_docs.py")
        return 1
    write_text_atomically(PATH, new)
    print(f"{PATH.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
