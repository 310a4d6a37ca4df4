"""Train the embedded CLIP 'tiny' on rendered pictures with captions, and print its zero-shot accuracy.

Nothing is downloaded. The weights are written in half precision. The same seed gives the same file on the same versions
of torch, numpy and Pillow.

examples:
  python tools/train_tiny.py --out /tmp/tiny.safetensors    # at most 40 minutes on two cores
  python tools/train_tiny.py --out /tmp/t.safetensors --steps 300 --pictures 10000    # a quick look
  python tools/train_tiny.py --evaluate    # the numbers of the model card
"""

import argparse
import hashlib
import os
import time
from dataclasses import fields, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Threads that wait must not spin: on a machine that does other work too, spinning slows every step many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from installed import require_packages  # noqa: E402

require_packages("tools/train_tiny.py")

from tiny.recipe import Recipe  # noqa: E402

WEIGHTS = ROOT / "clip_prompts" / "backbones" / "tiny" / "tiny.safetensors"
VALIDATION_PICTURES = 6000
THREADS = 2  # fixed: the order of sums, and so the weights, depend on it


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write (default: the embedded weights)")
    parser.add_argument("--evaluate", action="store_true", help="do not train; print the accuracies of --out")
    parser.add_argument("--save-every", type=int, default=0, metavar="N", help="also write --out every N steps")
    known = {"steps", "batch", "pictures", "seed", "lr", "warmup", "weight_decay"}
    for field in fields(Recipe):
        if field.name in known:
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default,
                                help=f"(default: {field.default})")  # fmt: skip
    return parser.parse_args(argv)


def report(path: Path) -> None:
    """Prints the zero-shot accuracies of a weights file."""
    from clip.model import build_model
    from tabulate import tabulate

    from clip_prompts.backbones.tiny import tiny_state_dict
    from clip_prompts.data.rendering.paper_cutouts import VARIANTS
    from clip_prompts.run.checkout import load_checkout

    load_checkout("datasets")
    from datasets.digits import Digits
    from datasets.shapes import Shapes
    from tiny import evaluation, pool

    model = build_model(tiny_state_dict(path)).float()
    print(f"{path}: {path.stat().st_size:,} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    print("Zero-shot accuracy (%)")
    held_out = pool.render_pool(VALIDATION_PICTURES, Recipe.seed, "val")
    rows = [
        (f"rendered, held-out fonts and scenes: {name}", evaluation.PROMPT, value)
        for name, value in evaluation.rendered_accuracy(model, held_out).items()
    ]
    for prompt in (Digits.template, evaluation.PROMPT):
        rows.append(("real digits of scikit-learn, all 1,797", prompt, evaluation.digits_accuracy(model, prompt)))
    for variant in VARIANTS:
        value = evaluation.shapes_accuracy(model, variant, Shapes.template)
        rows.append((f"Shapes, test part, 42 classes: {variant}", Shapes.template, value))
    print(tabulate(rows, headers=["data", "prompt", "accuracy"], floatfmt=".1f", tablefmt="github"))


def main() -> None:
    args = parse()
    # Imported here, because --help and a wrong flag are answered before PyTorch is loaded.
    import torch

    from tiny import captions, pool, training, vocabulary

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads such memory; filling takes time
    if not args.evaluate:
        names = {field.name for field in fields(Recipe)}
        recipe = replace(Recipe(), **{k: v for k, v in vars(args).items() if k in names})
        words = vocabulary.Vocabulary(captions.all_words())
        started, busy = time.time(), time.process_time()
        pictures = pool.render_pool(recipe.pictures, recipe.seed, "train")

        def on_step(step: int, model) -> None:
            if args.save_every and step % args.save_every == 0:
                training.pack(model, words, recipe, args.out)

        model = training.train(pictures, words, recipe, on_step)
        training.pack(model, words, recipe, args.out)
        wall, busy = time.time() - started, time.process_time() - busy
        print(f"Rendering and training: {wall / 60:.1f} minutes, training alone {busy / 60:.1f} CPU minutes.")
    report(args.out)


if __name__ == "__main__":
    main()
