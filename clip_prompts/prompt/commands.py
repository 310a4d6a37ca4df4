"""The commands of ``clip-prompts`` and ``tools/prompt.py``, one function each; they return an exit status."""

import argparse
import ast
import csv
import io
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from clip_prompts.common.errors import UserError, reading
from clip_prompts.common.files import MIB, check_target, read_text, write_bytes_atomically, write_text_atomically
from clip_prompts.common.text import csv_cell, one_line, printable
from clip_prompts.data.folders.class_folders import image_suffixes
from clip_prompts.run.config import import_plugin

from .contact_sheet import TOP as SHEET_TOP
from .contact_sheet import contact_sheet
from .head import SUFFIXES, head_bytes
from .interpret import CAVEAT
from .loading import find_prompt, load_methods, load_prompt
from .pictures import find_pictures
from .prompt import Prediction, Prompt


def loaded(args: argparse.Namespace, precision: str | None = None) -> Prompt:
    """The prompt that the command line names. precision: None for that of the training."""
    import_methods(args)
    return load_prompt(
        args.prompt,
        names_in(args.classes) if args.classes else None,
        backbone=args.backbone,
        device=args.device,
        precision=precision,
        allow_other_weights=args.allow_other_weights,
        method=args.method,
        settings=settings_in(args),
        revision=args.revision,
    )


def import_methods(args: argparse.Namespace) -> None:
    """Import the methods of the checkout and of plug-ins."""
    load_methods()
    for name in args.plugin:
        import_plugin(name)


def settings_in(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of ``--set``, read as Python literals where they are some."""
    return {key: _value(value) for key, value in args.set}


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def names_in(file: str) -> list[str]:
    """Class names of a text file, one in a line; empty lines are skipped. Raises UserError."""
    with reading(f"File '{file}' of class names"):
        names = [line.strip() for line in read_text(Path(file).expanduser(), MIB, lines=True).splitlines()]
    if not any(names):
        raise UserError(f"File '{file}' holds no class names. Write one name per line")
    return [name for name in names if name]


def check_targets(files: Mapping[str, str | None]) -> None:
    """Refuse places that cannot be written, before the work is done. ``files``: option to its value, None if not given.

    A picture is refused too: ``--csv photos/*.jpg`` would name one.
    Raises UserError.
    """
    given = {option: Path(file) for option, file in files.items() if file is not None}
    for option, file in given.items():
        if not file.name or file.suffix.lower() in image_suffixes():
            raise UserError(f"{option} '{one_line(str(file), 200)}' is no name for this file. Give another one")
        check_target(file)
    if len({file.absolute() for file in given.values()}) < len(given):
        raise UserError(f"{' and '.join(given)} name one file. Give each its own")


def export(args: argparse.Namespace) -> int:
    prompt = loaded(args)
    folder = prompt.save(args.folder, args.license)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name == "prompt_model.safetensors")
    print(f"Wrote {prompt.method} for {len(prompt.classes):,} classes to {folder} ({size / 1000:,.1f} kB of tensors)")
    return 0


def show(args: argparse.Namespace) -> int:
    import_methods(args)
    names = names_in(args.classes) if args.classes else None
    # Not the whole prompt: a folder says what it is without the weights of its backbone.
    artifact, _ = find_prompt(args.prompt, names, args.backbone, args.method, settings_in(args), args.revision)
    config, tensors = artifact.config, artifact.tensors
    if args.json:
        print(json.dumps(config, indent=2, ensure_ascii=False))
        return 0
    base, training, classes = config["base_model"], config.get("training", {}), names or config["classes"]["names"]
    learned = sum(value.numel() for value in tensors.values())
    named = ", ".join(f"{name} {tuple(value.shape)}" for name, value in [*tensors.items()][:4])
    rows = {
        "method": config["method"]["name"],
        "backbone": f"{base['name']} (weights {base['sha256'][:12]})",
        "learned": f"{learned:,} numbers: {named}" + (f" and {len(tensors) - 4} more" if len(tensors) > 4 else ""),
        "classes": f"{len(classes):,}: {', '.join(classes[:8])}" + ", ..." * (len(classes) > 8),
        "other classes": "no" if config["method"]["classes"] == "fixed" else "yes",
        "image encoder": config["method"]["image_encoder"],
        "learned on": training.get("label") or training.get("dataset"),
        "of its classes": training.get("classes"),
        **{name: training.get(name) for name in ("shots", "seed", "epochs")},
    }
    for result in config.get("results", []):
        if result.get("metric") in ("accuracy", "macro_f1"):
            rows[result["metric"]] = f"{result['value']:.2f} % of {result.get('n')} images"
    shown = [(key, one_line(str(value), 300)) for key, value in rows.items() if value not in (None, "")]
    print(tabulate(shown, tablefmt="plain", maxcolwidths=[None, 60]))
    return 0


def predict(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise UserError(f"--top {args.top} is below 1. Give the number of classes to show, 1 or more")
    paths = find_pictures(args.pictures)
    check_targets({"--csv": args.csv, "--html": args.html})
    prompt = loaded(args)
    started = time.perf_counter()
    with tqdm(total=len(paths), unit=" pictures", disable=None, leave=False) as bar:
        features, lost = prompt.try_features(paths, bar.update)
    good = [i for i in range(len(paths)) if i not in lost]
    top = max(args.top, SHEET_TOP) if args.html else args.top
    ranked = dict(zip(good, prompt.rank(features[good], top), strict=True)) if good else {}
    found = {i: prediction.best(args.top) for i, prediction in ranked.items()}
    seconds = time.perf_counter() - started
    for reason in lost.values():
        print(one_line(f"Skipped: {reason}"), file=sys.stderr)
    if args.csv:
        write_text_atomically(args.csv, _csv(paths, found, min(args.top, len(prompt.classes))))
    if args.html:
        write_text_atomically(args.html, contact_sheet(prompt, paths, ranked, lost))
    if args.json:
        print(json.dumps([_entry(paths[i], found[i]) for i in good], indent=1))
    elif not args.csv and not args.html:
        _print_table(paths, found)
    note = f"{len(found):,} pictures in {seconds:.1f} s" + (f", {len(lost)} skipped" if lost else "")
    written = ", ".join(name for name in (args.csv, args.html) if name)
    print(note + (f": {written}" if written else ""), file=sys.stderr if args.json else sys.stdout)
    return 0 if found else 2


def _entry(path: str, prediction: Prediction) -> dict[str, Any]:
    return {"path": path, "classes": prediction.names, "probabilities": prediction.probabilities}


def _csv(paths: list[str], found: dict[int, Prediction], top: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    pairs = [(f"class_{k}", f"probability_{k}") for k in range(1, top + 1)] if top > 1 else [("class", "probability")]
    writer.writerow(["path", *(name for pair in pairs for name in pair)])
    for i, prediction in found.items():
        cells = zip(prediction.names, (f"{p:.6g}" for p in prediction.probabilities), strict=True)
        writer.writerow([csv_cell(paths[i]), *(csv_cell(cell) for pair in cells for cell in pair)])
    return text.getvalue()


def _print_table(paths: list[str], found: dict[int, Prediction]) -> None:
    rows = [
        (
            printable(paths[i]),
            *(f"{printable(n)} {100 * p:.1f} %" for n, p in zip(f.names, f.probabilities, strict=True)),
        )
        for i, f in found.items()
    ]
    print(tabulate(rows, tablefmt="plain"))


def serve(args: argparse.Namespace) -> int:
    from .neighbours import training_of
    from .serving import Answers, is_loopback, served

    if args.port is not None and not 0 <= args.port < 65536:
        raise UserError(f"--port {args.port} is not a port. Give a number up to 65535; 0 chooses a free port")
    prompt = loaded(args)
    if not is_loopback(args.host):
        print(
            f"Warning: everybody who can reach {one_line(args.host, 80)} can use the page, without a password",
            file=sys.stderr,
        )
    with served(Answers(prompt, training_of(prompt, args.prompt)), args.host, args.port) as url:
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in the background with SIGINT ignored
            signal.signal(number, lambda *_: stopped.set())
        print(f"The page is at {url} until Ctrl-C", flush=True)
        stopped.wait()
    return 0


def head(args: argparse.Namespace) -> int:
    if Path(args.to).suffix not in SUFFIXES:
        raise UserError(f"--to '{args.to}' does not end in a known suffix. Use one of: {', '.join(SUFFIXES)}")
    check_targets({"--to": args.to})
    prompt = loaded(args)
    write_bytes_atomically(args.to, head_bytes(prompt, Path(args.to).suffix))
    width = prompt.trainer.image_encoder.output_dim
    print(
        f"Wrote {len(prompt.classes):,} rows of {width} to {args.to}: logits = {prompt.config['logit']['scale']:.4g} * "
        f"features @ rows.T, with unit image features of {prompt.config['base_model']['name']}"
    )
    return 0


def onnx(args: argparse.Namespace) -> int:
    from .onnx_graph import SUFFIX, onnx_graph

    if Path(args.out).suffix != SUFFIX:
        raise UserError(f"--out '{args.out}' does not end in {SUFFIX}. Add the suffix")
    check_targets({"--out": args.out})
    pictures = find_pictures(args.check)
    args.device = "cpu"  # a graph is float32, and is compared with the same numbers
    prompt = loaded(args, precision="fp32")
    graph = onnx_graph(prompt, pictures)
    write_bytes_atomically(args.out, graph.content)
    size = prompt.trainer.cfg.INPUT.SIZE[0]
    print(
        f"Wrote {args.out} ({len(graph.content) / 1e6:,.1f} MB, opset {graph.opset}): image (B, 3, {size}, {size}) to "
        f"logits (B, {len(prompt.classes)}). On {graph.images} images they differ from PyTorch's by at most "
        f"{graph.difference:.1e}"
    )
    return 0


def interpret(args: argparse.Namespace) -> int:
    if args.k < 1:
        raise UserError(f"-k {args.k} is below 1. Give the number of words to show, 1 or more")
    prompt = loaded(args)
    for place, vectors in prompt.nearest_words(args.k).items():
        print(place)
        for number, words in enumerate(vectors, 1):
            print(f"  {number:3}: " + ", ".join(f"{word} {distance:.3f}" for word, distance in words))
    print(CAVEAT)
    return 0


def push(args: argparse.Namespace) -> int:
    print(f"Uploaded: {loaded(args).push_to_hub(args.repo, args.license, args.private)}")
    return 0
