"""Compare text encoding with the plain way: time, memory, equality, and the share of the machine that is used."""

import argparse
import json
import sys
import warnings
from contextlib import redirect_stdout
from dataclasses import asdict, fields
from pathlib import Path

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from installed import require_packages  # noqa: E402

require_packages("tools/benchmark.py")

from tabulate import tabulate  # noqa: E402

from measuring import loading  # noqa: E402
from measuring.setting import SHAPES, Setting  # noqa: E402

MB = 2**20
_EXAMPLES = """
One training step is measured in parts, side by side:
  text, plain    prompts of 77 positions, one image at a time, through CLIP's own transformer (what CoCoOp's authors do)
  text, ours     each distinct position once; both from image features to gradients, forward and backward
  image encoder  one forward pass of the batch, without gradients; plain: through CLIP's own modules
  step, ours     a whole training step: image encoder, text encoder, backward, optimiser
Methods whose images have learned prompts add:
  prompted images, plain / prompted images   one forward and backward pass of the image encoder with its prompts
  step, plain    the whole step through CLIP's own modules
A method without a plain implementation (tools/measuring/plain/) is measured alone.
The weights are random, so nothing is downloaded; time and memory do not depend on them. Class names are ImageNet's.

examples:
  python tools/benchmark.py                                           CoCoOp, ViT-B/16, 50 classes, batch 1
  python tools/benchmark.py --batch 8                                 CoCoOp with larger batches
  python tools/benchmark.py --method CoOp --classes 100 --batch 32    CoOp's step
  python tools/benchmark.py --method MaPLe --batch 4                  any method; see trainers/
  python tools/benchmark.py --method MaPLe --batch 4 TRAINER.MAPLE.PROMPT_DEPTH 3
  python tools/benchmark.py --classes 1000 --memory-gb 0.5            ImageNet's size under a memory limit
  python tools/benchmark.py --evaluate                                an evaluation of 200 images
  python tools/benchmark.py --loading                                 the lists of large datasets
  python tools/benchmark.py --device cuda --precision bf16 --json h100.json
  python tools/benchmark.py --backbone tiny --classes 10 --repeat 1   a quick look
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = {"backbone": tuple(SHAPES), "device": ("cpu", "cuda")}
    helps = {
        "method": "method to measure", "backbone": "backbone whose sizes the model has",
        "classes": "number of classes, spread evenly over ImageNet's 1,000",
        "batch": "images per step", "n_ctx": "context vectors M; 0: 4 for CoOp and CoCoOp, else the method's default",
        "device": "device to compute on", "precision": "as TRAINER.<METHOD>.PREC",
        "memory_gb": "memory limit of our way, as TRAINER.CLIP.MEMORY_GB; 0: no limit",
        "plugin": "module or file that registers the method, as in train.py",
    }  # fmt: skip
    for field in fields(Setting):
        if field.name == "opts":
            continue
        parser.add_argument(
            "--" + field.name.replace("_", "-"), type=field.type, default=field.default,
            choices=choices.get(field.name), help=f"{helps[field.name]} (default: {field.default})",
        )  # fmt: skip
    parser.add_argument("--repeat", type=int, default=5, help="number of runs; the median counts (default: 5)")
    parser.add_argument("--threads", type=int, help="threads on the CPU (default: PyTorch's choice)")
    parser.add_argument("--no-plain", action="store_true", help="skip the plain way, which is slow")
    parser.add_argument("--no-memory", action="store_true", help="skip memory, which is measured in separate processes")
    parser.add_argument("--evaluate", action="store_true", help="measure an evaluation, not a training step")
    parser.add_argument("--loading", action="store_true", help="measure how long large datasets take to load; "
                        "see --loading --help for its options")  # fmt: skip
    parser.add_argument("--images", type=int, default=200, help="images of the evaluation (default: 200)")
    parser.add_argument("--plain-images", type=int, default=20,
                        help="images for timing the plain way, which is then scaled (default: 20)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers into this file")
    parser.add_argument("--only-memory", help=argparse.SUPPRESS)  # one way, in a process of its own
    parser.add_argument("--separately", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="settings, as in train.py")
    args = parser.parse_args(argv)
    args.opts = tuple(args.opts)
    for name in ("batch", "repeat", "images", "plain_images", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(args, name)} is not 1 or more")
    return args


def training_table(record: dict, setting: dict) -> str:
    """One line per way; ratios are to the plain way, the fraction is of the machine's matrix product."""
    ways, plain = record["ways"], record["ways"].get("text, plain", {})
    lines = []
    for name, way in ways.items():
        seconds, is_text = way["seconds"], name.startswith("text")
        # The plain way is held against the arithmetic that is necessary, not against what it computes.
        fraction = record["necessary_operations"] / seconds / record["machine_flops"] if is_text else None
        lines.append([
            name, seconds * 1e3, seconds * 1e3 / setting["batch"],
            way["positions"] / seconds if is_text else None,
            way["peak_bytes"] / MB if "peak_bytes" in way else None,
            way["process_bytes"] / MB if "process_bytes" in way else None,
            plain["seconds"] / seconds if is_text and plain else None,
            plain["peak_bytes"] / way["peak_bytes"] if is_text and way.get("peak_bytes") and plain else None,
            f"{fraction:.1%}" if fraction else None,
        ])  # fmt: skip
    headers = ["", "ms a step", "ms an image", "positions/s", "peak MB", "process MB", "faster", "less memory",
               "of peak"]  # fmt: skip
    formats = ("", ".1f", ".1f", ",.0f", ",.0f", ",.0f", ".1f", ".1f")
    table = tabulate(lines, headers, tablefmt="github", floatfmt=formats, missingval="")
    return f"{table}\n\n{training_notes(record)}"


def training_notes(record: dict) -> str:
    ways = record["ways"]
    notes = [
        f"Machine: {record['machine_flops'] / 1e9:,.0f} GFLOP/s in a matrix product; necessary arithmetic of a step's "
        f"text encoding: {record['necessary_operations'] / 1e9:,.1f} GFLOP.",
        f"Predicted peak of our text encoding without a limit: {record['predicted_bytes'] / MB:,.0f} MB.",
        f"Whole step: {ways['step, ours']['seconds'] / ways['image encoder']['seconds']:.2f} times a forward pass of "
        "its image encoder.",
    ]
    if "prompted images" in ways:
        step, images = ways["step, ours"]["seconds"], ways["prompted images"]["seconds"]
        notes.append(f"Whole step: {step / images:.2f} times a forward and backward pass of its prompted images.")
        if "step, plain" in ways:
            notes.append(f"Whole step: {ways['step, plain']['seconds'] / step:.2f} times faster than plain.")
    if "text, ours" not in ways:
        notes.append("Nothing that is learned reaches the text: it is encoded once.")
    if record["equality"]:
        equal = record["equality"]
        verdict = {True: "equal (fp32: 1e-5, 1e-4)", False: "NOT EQUAL", None: "not judged in this precision"}
        notes.append(
            f"Relative difference to plain: loss {equal['loss']:.1e}, gradients {equal['gradient']:.1e}: "
            f"{verdict[equal['holds']]}."
        )
    if record["plain_backward_after_each_image"] and "text, plain" in ways:
        notes.append("The plain way went backward after each image: its whole batch does not fit into memory.")
    return "\n".join(notes)


def evaluation_table(record: dict) -> str:
    """Times of the whole evaluation, with and without the image encoder."""
    seconds, images, encoder = record["seconds"], record["images"], record["seconds"]["image encoder"]
    plain = seconds.get("text, plain")
    ratio = plain and {"text, plain": 1.0, "text, ours": plain / seconds["text, ours"]}
    lines = [[name, value, value * 1e3 / images, (ratio or {}).get(name)] for name, value in seconds.items()]
    both = {"both, plain": plain and plain + encoder, "both, ours": seconds["text, ours"] + encoder}
    for name, value in both.items():
        if value:
            lines.append([name, value, value * 1e3 / images, plain and both["both, plain"] / value])
    table = tabulate(lines, ["", "s", "ms an image", "faster"], tablefmt="github", floatfmt=("", ".2f", ".2f", ".1f"),
                     missingval="")  # fmt: skip
    timed = f"The plain way was timed on {record['plain_images']} of them, the" if plain else "The"
    difference = f" Relative difference of the logits: {record['difference']:.1e}." if plain else ""
    return f"{table}\n\n{images} images. {timed} image encoder on {record['encoded_images']}, and scaled.{difference}"


def run(args: argparse.Namespace) -> None:
    # Imported here, because --help and a wrong flag are answered before PyTorch is loaded.
    import torch

    from clip_prompts.common.errors import UserError
    from clip_prompts.common.files import write_text_atomically
    from measuring import training
    from measuring.task import Task

    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no GPU here")
    setting = Setting(**{field.name: getattr(args, field.name) for field in fields(Setting)})
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.only_memory:
        with redirect_stdout(sys.stderr):
            task = Task(setting, with_plain="plain" in args.only_memory)
            record = training.memory(task, args.only_memory, args.separately)
        print(json.dumps(record))
        return
    with redirect_stdout(sys.stderr):  # what the models say while they are built
        if args.evaluate:
            record = training.measure_evaluation(setting, args.images, args.plain_images, args.repeat)
        else:
            record = training.measure(setting, args.repeat, not args.no_plain, not args.no_memory)
    device = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{setting.method}, {setting.backbone}, {setting.classes} classes, batch {setting.batch}, "
          f"{setting.precision}, {device}, PyTorch {torch.__version__}\n")  # fmt: skip
    print(evaluation_table(record) if args.evaluate else training_table(record, asdict(setting)))
    if args.json:
        content = {"setting": asdict(setting), "device": device, "torch": torch.__version__, **record}
        write_text_atomically(args.json, json.dumps(content, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else list(argv)
    if "--loading" in argv:
        argv.remove("--loading")
        return loading.main(argv)
    args = parse(argv)
    from clip_prompts.run.errors import USER_ERRORS

    try:
        run(args)
    except USER_ERRORS as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
