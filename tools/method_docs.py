"""Write the tables of docs/methods.md and of the README from the methods themselves.

Papers and equations come from the docstrings in trainers/, recipes from configs/trainers/NAME/, and the numbers of
learned values are counted in a CLIP with random weights. No file of weights is read.

examples:
  python tools/method_docs.py            # write the tables
  python tools/method_docs.py --check    # only say which are out of date; exit status 1 if one is
"""

import argparse
import contextlib
import functools
import io
import math
import re
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from installed import require_packages  # noqa: E402

require_packages("tools/method_docs.py")

ROOT = Path(__file__).resolve().parents[1]
PAGE, PERFORMANCE, README = ROOT / "docs" / "methods.md", ROOT / "docs" / "performance.md", ROOT / "README.md"
PART = re.compile(r"(<!-- generated: (\S+) -->\n)(.*?)(<!-- end -->)", re.S)
SHORT = re.compile(r"(<!-- methods -->\n)(.*?)(<!-- end -->)", re.S)
WORDS = {
    "base2new": "base to new", "few_shot": "few-shot", "cross_dataset": "cross-dataset",
    "domain_generalization": "domain generalization",
}  # fmt: skip


def methods() -> list:
    """Returns the trainer classes of trainers/, in the order of tables."""
    from dassl.engine import TRAINER_REGISTRY

    from clip_prompts.clip import CLIPTrainer
    from clip_prompts.common.method_facts import row_order
    from clip_prompts.run.checkout import load_checkout

    load_checkout("trainers")
    known = [TRAINER_REGISTRY.get(name) for name in sorted(TRAINER_REGISTRY.registered_names(), key=row_order)]
    return [c for c in known if c.__module__.startswith("trainers.") and issubclass(c, CLIPTrainer)]


def recipes(name: str) -> dict[str, list[str]]:
    """Returns the config files of a method, each with the protocols that take it."""
    from clip_prompts.common.method_facts import read_facts

    facts, found = read_facts(name), {}
    for protocol in WORDS:
        if facts.takes_part(protocol):
            found.setdefault(facts.config(protocol), []).append(protocol)
    return found


@functools.cache
def settings(name: str, config: str) -> dict:
    """Returns dotted key -> value of a config file."""
    from clip_prompts.common.method_facts import read_facts
    from clip_prompts.common.trees import flat
    from clip_prompts.common.yaml_files import read_yaml

    return flat(read_yaml(read_facts(name).folder / f"{config}.yaml"))


@functools.cache
def backbone(name: str):
    """Returns a CLIP of random weights."""
    from measuring.task import random_clip

    return random_clip(name)


@functools.cache
def learned(cls: type, config: str, classes: int = 2) -> dict[str, tuple[int, ...]]:
    """Returns the names and shapes of the learned tensors, with a config file and a number of classes."""
    from clip_prompts.common.method_facts import read_facts
    from measuring.task import class_names
    from measuring.trainers import build

    clip_model = backbone(settings(cls.__name__, config)["MODEL.BACKBONE.NAME"])
    file = str(read_facts(cls.__name__).folder / f"{config}.yaml")
    pairs = ["USE_CUDA", "False", f"TRAINER.{cls.__name__.upper()}.PREC", "fp32"]
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = build(cls, clip_model, class_names(classes), "", pairs, random_teacher=True, config_file=file)
    models = [trainer._models[name] for name in trainer.get_model_names()]
    return {name: tuple(p.shape) for model in models for name, p in model.named_parameters() if p.requires_grad}


def count(cls: type, config: str) -> str:
    """Returns the number of learned values: 2,048, or 10,240 + 513 per class."""
    of_two, of_three = (sum(map(math.prod, learned(cls, config, classes).values())) for classes in (2, 3))
    fixed, each = 3 * of_two - 2 * of_three, of_three - of_two
    return " + ".join([f"{fixed:,}"] * bool(fixed or not each) + [f"{each:,} per class"] * bool(each))


def tensors(cls: type, config: str) -> str:
    """Returns names and shapes of the learned tensors; those of several layers together."""
    groups: dict[tuple, list[str]] = {}
    for (name, two), three in zip(learned(cls, config).items(), learned(cls, config, 3).values(), strict=True):
        shape = ", ".join("C" if a != b else f"{a:,}" for a, b in zip(two, three, strict=True))
        groups.setdefault((re.sub(r"\.\d+(?=\.|$)", ".*", name), shape), []).append(name)
    each = [
        f"`{name}` " + f"{len(names)} x " * (len(names) > 1) + f"({shape})" for (name, shape), names in groups.items()
    ]
    return ", ".join(each) or "none"


def paper(cls: type) -> tuple[str, str]:
    """Returns title and venue of a method's paper, from its docstring or that of the method it extends."""
    for kind in cls.__mro__:
        if found := re.search(r'"([^"]+)",\s+([A-Z]+ \d{4})', " ".join((kind.__doc__ or "").split())):
            return found[1], found[2]
    raise ValueError(f'The docstring of {cls.__name__} names no paper: "Title", VENUE YEAR')


def equation(cls: type) -> str:
    """Returns the indented lines of a method's docstring, one formula per line; "" if there are none."""
    lines = re.findall(r"^ {8}(\S.*)$", cls.__doc__ or "", re.M)
    return re.sub(r" {4,}", "\n", "\n".join(lines))


def short() -> str:
    """Returns the table of the README."""
    rows = []
    for cls in methods():
        name, config = cls.__name__, next(iter(recipes(cls.__name__)))
        rows.append([f"[{name}](docs/methods.md#{name.lower()})", paper(cls)[1], _parts(name), count(cls, config)])
    return _table(["method", "paper", "learns", "numbers"], rows)


def overview() -> str:
    """Returns the table at the top of docs/methods.md."""
    rows = []
    for cls in methods():
        name, files = cls.__name__, recipes(cls.__name__)
        numbers = _by_protocol({config: count(cls, config) for config in files}, files)
        takes_part = ", ".join(WORDS[p] for of in files.values() for p in of)
        title, venue = paper(cls)
        rows.append([
            f"[{name}](#{name.lower()})", f"{title}, {venue}", _parts(name), numbers,
            "all" if sum(map(len, files.values())) == len(WORDS) else takes_part,
        ])  # fmt: skip
    return _table(["method", "paper", "learns", "numbers", "protocols"], rows)


def section(cls: type) -> str:
    """Returns the equation and the facts of a method."""
    from clip_prompts.common.method_facts import read_facts

    name, files = cls.__name__, recipes(cls.__name__)
    facts = read_facts(name)
    title, venue = paper(cls)
    rows = [["paper", f"{title}, {venue}"]]
    rows.append(["config files", _by_protocol({config: f"`{config}`" for config in files}, files)])
    if facts.learns == "prompts":
        rows.append(["training", _by_protocol({config: _training(name, config) for config in files}, files)])
    rules = [_rule(rule) for rule in facts.settings]
    shots = [f"{value} in {WORDS.get(protocol, protocol)}" for protocol, value in facts.shots.items()]
    rows += [["shots", ", ".join(shots)]] * bool(shots) + [["also sets", "<br>".join(rules)]] * bool(rules)
    rows.append(["learned tensors", _by_protocol({config: tensors(cls, config) for config in files}, files)])
    rows.append(["numbers", _by_protocol({config: count(cls, config) for config in files}, files)])
    rows += [["cost", f"{step} ms per training step ([measured](performance.md#every-method))"] for step in _step(name)]
    rows.append(["settings", f"[`TRAINER.{name.upper()}`](config.md#trainer{name.lower()})"])
    code = f"```text\n{equation(cls)}\n```\n\n" if equation(cls) else ""
    return f"{code}{_table(['', ''], rows)}"


def pages() -> dict[Path, str]:
    """Returns the new text of docs/methods.md, and of the README if it has marks for the table.

    Raises ValueError: docs/methods.md lacks a part, or has an unknown one.
    """
    parts = {"overview": overview, **{cls.__name__: functools.partial(section, cls) for cls in methods()}}
    text = PAGE.read_text(encoding="utf-8")
    found = [name for _, name, _, _ in PART.findall(text)]
    if found != list(parts):
        raise ValueError(f"{PAGE.name} has the parts {', '.join(found)}. It needs {', '.join(parts)}, in this order")
    new = {PAGE: PART.sub(lambda part: part[1] + parts[part[2]]() + part[4], text)}
    readme = README.read_text(encoding="utf-8")
    if SHORT.search(readme):
        new[README] = SHORT.sub(lambda part: part[1] + short() + part[3], readme)
    return new


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a table is out of date")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    from clip_prompts.common.files import write_text_atomically

    try:
        new = pages()
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    old = {file: text for file, text in new.items() if file.read_text(encoding="utf-8") != text}
    for file, text in old.items():
        print(f"{file.name}: {'out of date. Run: python tools/method_docs.py' if args.check else 'written'}")
        if not args.check:
            write_text_atomically(file, text)
    if not old:
        print("The tables are up to date")
    return 1 if old and args.check else 0


def _parts(name: str) -> str:
    from clip_prompts.common.method_facts import read_facts

    return read_facts(name).parts


def _by_protocol(values: dict[str, str], files: dict[str, list[str]]) -> str:
    """Returns a value per config file as a cell; equal ones once, without protocols if all are equal."""
    groups: dict[str, list[str]] = {}
    for config, value in values.items():
        groups.setdefault(value, []).extend(WORDS[protocol] for protocol in files[config])
    if len(groups) == 1:
        return next(iter(groups))
    return "<br>".join(f"{', '.join(protocols)}: {value}" for value, protocols in groups.items())


def _training(name: str, config: str) -> str:
    read = settings(name, config)
    return (
        f"{read['MODEL.BACKBONE.NAME']}, {read['OPTIM.NAME']}, rate {read['OPTIM.LR']}, "
        f"{read['OPTIM.MAX_EPOCH']} epochs, batch {read['DATALOADER.TRAIN_X.BATCH_SIZE']}"
    )


def _rule(rule: dict) -> str:
    """Returns a rule of a recipe in words."""
    least, most = rule.get("least_shots"), rule.get("most_shots")
    when = [", ".join(WORDS[p] for p in rule.get("protocols", [])), ", ".join(rule.get("datasets", []))]
    when += [f"{least} shots or more"] * bool(least) + [f"at most {most} shot{'s' * (most != 1)}"] * bool(most)
    return f"{'; '.join(filter(None, when))}: " + ", ".join(f"`{key} {value}`" for key, value in rule["set"].items())


def _step(name: str) -> list[str]:
    """Returns the time of a training step of a method in docs/performance.md; [] if it is not measured there."""
    text = PERFORMANCE.read_text(encoding="utf-8").partition("## Every method")[2].partition("\n## ")[0]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    at = table[0].index("step, ours")
    return [row[at] for row in table if row[0] == name and len(row) == len(table[0])]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    first = f"| {' | '.join(head)} |" if any(head) else "|" + " |" * len(head)
    return "\n".join([first, "|" + "---|" * len(head), *lines]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
