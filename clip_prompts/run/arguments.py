"""The command line of ``train.py``: upstream's flags, ``--plugin`` and ``--protocol``."""

import argparse

from clip_prompts.common.protocols import TITLES

_DESCRIPTION = """Learn prompts for CLIP, or evaluate learned ones.

Settings are merged in this order, later ones win: defaults, --dataset-config-file, --config-file, flags, and
trailing KEY VALUE pairs such as  DATASET.NUM_SHOTS 16 TRAINER.COOP.N_CTX 4 ."""

_EXAMPLES = """examples:
  the embedded default, 16 shots of the base classes, on the CPU:
    python train.py --trainer CoOp --dataset-config-file configs/datasets/digits.yaml \\
        --config-file configs/trainers/CoOp/tiny.yaml --seed 1 --output-dir output/first \\
        DATASET.NUM_SHOTS 16 DATASET.SUBSAMPLE_CLASSES base
  the learned prompt on the new classes:
    python train.py --trainer CoOp --dataset-config-file configs/datasets/digits.yaml \\
        --config-file configs/trainers/CoOp/tiny.yaml --seed 1 --output-dir output/first_new \\
        --eval-only --model-dir output/first DATASET.SUBSAMPLE_CLASSES new
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; flags that are not given are None and change nothing."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--root", metavar="DIR", help="folder that holds the datasets")
    add("--output-dir", metavar="DIR", help="where log.txt, results.json and checkpoints go (default: ./output)")
    add("--resume", metavar="DIR", help="output folder of the run to continue")
    add("--seed", type=int, metavar="N", help="seed of all random numbers, 0 or more; -1 leaves them unseeded")
    add("--source-domains", nargs="+", metavar="NAME", help="source domains, for datasets that have domains")
    add("--target-domains", nargs="+", metavar="NAME", help="target domains, for the same datasets")
    add("--transforms", nargs="+", metavar="NAME", help="data augmentation, by name")
    add("--config-file", metavar="YAML", help="settings of the method, a file in configs/trainers/")
    add("--dataset-config-file", metavar="YAML", help="settings of the dataset, a file in configs/datasets/")
    add("--trainer", metavar="NAME", help="CoOp, CoCoOp, ZeroshotCLIP, ...")
    add("--backbone", metavar="NAME", help="ViT-B/16, RN50, tiny, ..., or the path of a checkpoint")
    add("--head", metavar="NAME", help="head of the network, for trainers that have one")
    more = "import a module that registers more trainers or datasets; repeatable"
    add("--plugin", action="append", default=[], metavar="MODULE", help=more)
    add("--eval-only", action="store_true", help="do not train: load --model-dir and test")
    add("--model-dir", metavar="DIR", default="", help="output folder of the run that learned the prompts")
    add("--load-epoch", type=int, metavar="N", help="epoch to load (default: best on validation, else newest)")
    add(
        "--protocol", metavar="NAME",
        help=f"protocol of the results: {', '.join(TITLES)}, or a label of your own "
        "(default: follows from classes, trainer and loaded model)",
    )  # fmt: skip
    add("--again", action="store_true", help="move what an earlier run left in --output-dir aside, and run again")
    add(
        "--again-if-changed", action="store_true",
        help="as --again, but only if the earlier run had other settings, data, weights or code; the same run, if "
        "done, is kept, and the program stops. Sweeps use it",
    )  # fmt: skip
    add("--no-train", action="store_true", help="build everything and stop")
    add("--verbose", action="store_true", help="print the full text on a terminal too, as in log.txt and in a pipe")
    add("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="settings that win over all others")
    return parser.parse_args(argv)
