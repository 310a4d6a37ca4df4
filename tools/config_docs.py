"""Writes ``docs/config.md``, the page of all settings, from the table in ``clip_prompts/records/settings.json``.

Usage: python tools/config_docs.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "docs" / "config.md"
_HEAD = """# Settings

Every setting of `train.py`, with its default, its range and its meaning. `python tools/config_docs.py` writes this page
from `clip_prompts/records/settings.json`. A value out of range is one line on stderr and exit status 2, before any data
are read. Settings marked with ° change nothing about a run's result. A trainer of your own declares its settings in
`CONFIG`. For a trainer that declares none, the settings below `TRAINER` in its `--config-file` are the declaration.

**A backbone from a file** (`--backbone FILE`) is a state dict, a safetensors file or a TorchScript archive in OpenAI's
naming. It may be wrapped (`model`, `state_dict`, `model_state_dict`) and have prefixes (`module.`, `model.`,
`clip_model.`, `_orig_mod.`). Weights do not tell the number of attention heads and the activation. For widths that
OpenAI did not release, `MODEL.BACKBONE.HEADS` and `TEXT_HEADS` must say the number; `MODEL.BACKBONE.ACT gelu` is for
models that were trained with GELU. A run prints how it read the file.

**The context of a prompt** has `N_CTX` random vectors, or a vector per CLIP token of the words in `CTX_INIT`. With
words, the run sets `N_CTX` to the number of their tokens; an `N_CTX` of the command line that contradicts the words,
and `CSC` together with words, are errors.
"""


def page() -> str:
    """The text of ``docs/config.md``."""
    from clip_prompts.common.trees import flat
    from clip_prompts.records.settings import SETTINGS
    from clip_prompts.run.config import default_config

    defaults, lines, group = flat(default_config()), [_HEAD], None
    for setting in SETTINGS.values():
        if (own := setting.key.rpartition(".")[0]) != group:
            group = own
            lines += [f"\n## {group or 'General'}\n", "| setting | default | values | meaning |", "|---|---|---|---|"]
        name = f"`{setting.key.rpartition('.')[2]}`{' °' if setting.irrelevant else ''}"
        cells = (name, f"`{_literal(defaults[setting.key])}`", setting.rule.words, setting.text)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _literal(value: object) -> str:
    return '""' if value == "" else str(value)


def main() -> int:
    from clip_prompts.common.files import write_text_atomically
    from clip_prompts.run.checkout import load_checkout

    load_checkout("trainers")  # declares the settings of the methods
    write_text_atomically(PATH, page())
    print(f"Written: {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
