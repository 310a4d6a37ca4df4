"""Use a learned prompt: look at it, classify pictures, export a classifier, share it.

A PROMPT is the folder of a prompt, the output folder of a run, a checkpoint (model.pth.tar-50) of this or another
program, or the id of a repository on the Hugging Face Hub (ORG/NAME).

examples:
  clip-prompts show output/first
  clip-prompts predict output/first photos/ --top 3 --csv predictions.csv
  clip-prompts predict output/first 'photos/*.jpg' --classes names.txt
  clip-prompts predict output/first photos/ --html predictions.html
  clip-prompts serve output/first
  clip-prompts export prompt_learner/model.pth.tar-50 my-prompt --backbone ViT-B/16 --classes names.txt
  clip-prompts head my-prompt --to weights.npz
  clip-prompts onnx my-prompt --out classifier.onnx
"""

import argparse
import os
import sys
from collections.abc import Sequence

from clip_prompts.common.environment import require_packages
from clip_prompts.common.text import one_line

HELP = {  # examples of each command, and what it prints
    "export": (
        "clip-prompts export output/first my-prompt --license mit",
        "clip-prompts export prompt_learner/model.pth.tar-50 my-prompt --backbone ViT-B/16 --classes names.txt",
        "Prints the method, the number of classes, the folder and its size in kB.",
    ),
    "show": (
        "clip-prompts show output/first",
        "clip-prompts show my-prompt --json",
        "Prints a table: method, backbone, classes, training, results. With --json, prints the config of the prompt.",
    ),
    "predict": (
        "clip-prompts predict output/first photos/ --top 3 --csv predictions.csv",
        "clip-prompts predict output/first 'photos/*.jpg' --classes names.txt",
        "Prints a row per picture. With --csv or --html, prints only how many there were, and the names of the files.",
    ),
    "serve": (
        "clip-prompts serve output/first",
        "clip-prompts serve output/first --port 8000",
        "Prints the address of the page, which works until Ctrl-C.",
    ),
    "head": (
        "clip-prompts head my-prompt --to weights.npz",
        "clip-prompts head my-prompt --to weights.safetensors --classes names.txt",
        "Prints the shape of the matrix, and the formula of the logits.",
    ),
    "onnx": (
        "clip-prompts onnx my-prompt --out classifier.onnx",
        "clip-prompts onnx my-prompt --out classifier.onnx --check photos/",
        "Prints the size of the graph, its inputs and outputs, and the largest difference from PyTorch.",
    ),
    "interpret": (
        "clip-prompts interpret output/first",
        "clip-prompts interpret my-prompt -k 3",
        "Prints a line per learned vector: words and their distances, nearest first.",
    ),
    "push": (
        "clip-prompts push my-prompt ORG/NAME --license mit",
        "clip-prompts push output/first ORG/NAME --private",
        "Prints the address of the prompt on the Hub.",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; an error that the user can fix is one line on stderr and exit status 2."""
    args = parse(argv)
    require_packages("clip-prompts")
    from clip_prompts.run.errors import user_message

    from . import commands

    try:
        return getattr(commands, args.command)(args)
    except Exception as error:
        line = user_message(error)
        if line is None and isinstance(error, OSError) and error.filename:
            line = one_line(f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}")
        if line is None:
            raise
        print(f"Error: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C", file=sys.stderr)
        return 130


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=None if sys.argv[0].endswith("prompt.py") else "clip-prompts", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        *examples, printed = HELP[name]
        sub = commands.add_parser(
            name, help=text, description=text[:1].upper() + text[1:],
            epilog="\n  ".join(["examples:", *examples]) + f"\n\n{printed}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.add_argument("prompt", metavar="PROMPT", help="folder, run, checkpoint or ORG/NAME")
        sub.add_argument("--backbone", metavar="NAME", help="name or file of the weights, if the prompt names none")
        sub.add_argument("--classes", metavar="FILE", help="class names, one per line, in place of the prompt's own")
        sub.add_argument("--method", metavar="NAME", help="method of a checkpoint that does not store it")
        sub.add_argument(
            "--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
            help="setting of that method, such as BASE CoCoOp; repeatable",
        )  # fmt: skip
        sub.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="module with more methods")
        sub.add_argument("--allow-other-weights", action="store_true", help="accept a backbone with another hash")
        sub.add_argument("--revision", metavar="REV", help="branch, tag or commit of a repository on the Hub")
        sub.add_argument("--device", choices=("cpu",), help="stay on the CPU")
        return sub

    sub = command("export", "write a prompt as a small folder without code")
    sub.add_argument("folder", metavar="DIR", help="folder to write")
    sub.add_argument("--license", metavar="ID", help="for the model card, such as mit")
    sub = command("show", "print the facts of a prompt and of its training")
    sub.add_argument("--json", action="store_true", help="the whole config")
    sub = command("predict", "classify pictures")
    sub.add_argument("pictures", nargs="+", metavar="PICTURE", help="files, folders or patterns")
    sub.add_argument("--top", type=int, default=1, metavar="K", help="classes per picture (default: 1)")
    sub.add_argument("--csv", metavar="FILE", help="write a row per picture")
    sub.add_argument("--json", action="store_true", help="print JSON, an object per picture")
    sub.add_argument("--html", metavar="FILE", help="write a page with the pictures, most uncertain first")
    sub = command("serve", "open a local page to drop pictures on; needs gradio")
    sub.add_argument("--port", type=int, metavar="N", help="default: 7860, or the next one that is free")
    sub.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, which only this computer reaches"
    )
    sub = command("head", "write the class matrix (C, D) for other software")
    sub.add_argument("--to", required=True, metavar="FILE", help="ends in .safetensors, .npz or .npy")
    sub = command("onnx", "write image encoder, class matrix and scale as one ONNX graph, compared with PyTorch")
    sub.add_argument("--out", required=True, metavar="FILE", help="ends in .onnx")
    sub.add_argument(
        "--check", nargs="+", default=[], metavar="PICTURE",
        help="files, folders or patterns of pictures to compare, next to random images",
    )  # fmt: skip
    sub = command("interpret", "print the nearest words of each learned vector")
    sub.add_argument("-k", type=int, default=5, metavar="N", help="words per vector (default: 5)")
    sub = command("push", "upload a prompt to the Hugging Face Hub")
    sub.add_argument("repo", metavar="ORG/NAME", help="the repository")
    sub.add_argument("--license", metavar="ID", help="for the model card, such as mit")
    sub.add_argument("--private", action="store_true", help="make a new repository private")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
