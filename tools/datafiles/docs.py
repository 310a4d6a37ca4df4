"""The generated parts of docs/datasets.md, from the registry, the catalogue and the facts of the embedded datasets.

A part is between ``<!-- generated: NAME -->`` and ``<!-- end -->``: ``overview``, and the name of every dataset.
"""

import re
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from tabulate import tabulate

from clip_prompts.common.dataset_sets import FOLDER, reader_name
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.files import write_text_atomically
from clip_prompts.data import GeneratedDataset
from datasets import shapes, shapes_domains

from .catalogue import CATALOGUE, alternatives, reader

PATH = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
PART = re.compile(r"(<!-- generated: (\S+) -->\n)(.*?)(<!-- end -->)", re.S)
OWN = "ImageFolder"
CONFIGS = {reader_name(file.stem): file.stem for file in sorted(FOLDER.glob("*.yaml"))}


def names() -> list[str]:
    """Returns every dataset that this project registers: the public ones, the embedded ones, ImageFolder."""
    ours = [n for n in DATASET_REGISTRY.registered_names() if reader(n).__module__.startswith("datasets.")]
    embedded = sorted(n for n in ours if issubclass(reader(n), GeneratedDataset))
    return [*CATALOGUE, *embedded, *sorted(set(ours) - set(CATALOGUE) - set(embedded))]


def facts(name: str) -> dict:
    """Returns ``config``, ``classes``, ``counts`` (train, val, test; None if there is none), ``source``, ``licence``,
    ``pitfalls`` of a dataset; for ImageFolder only ``config``."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    kind, known = reader(name), {"config": CONFIGS[name]}
    if name == OWN:
        return known
    if name == "Digits":
        return known | {
            "classes": 10, "counts": [898, 359, 540],
            "source": "scikit-learn's `load_digits`, of the UCI data set optdigits",
            "licence": "not stated here, see the source",
            "pitfalls": "8 x 8 grey pixels, enlarged to the input size: a test of the machinery, not of methods.",
        }  # fmt: skip
    known |= {"source": "drawn by this project", "licence": "MIT, as this project"}
    if name == "ShapesDomains":
        each = len(shapes.SHAPES) * len(shapes.COLOURS) * len(shapes_domains.DOMAINS)
        return known | {
            "classes": len(shapes.SHAPES), "counts": [n * each for n in shapes_domains.IMAGES.values()],
            "pitfalls": "A test of methods for domains on a small scale; the counts are those of all domains together.",
        }  # fmt: skip
    train, val, test = (n * len(shapes.CLASSES) for n in shapes.IMAGES.values())
    return known | {
        "classes": len(shapes.CLASSES),
        "counts": [None, 0, test] if kind.test_only else [train, val, test],
        "pitfalls": "Test only; the classes are those of Shapes." if kind.test_only
        else "The embedded CLIP was trained on drawings of the same kind.",
    }  # fmt: skip


def generate(name: str) -> str:
    """Returns the text of a part, with its last newline. Raises UserError for an unknown one."""
    if name == "overview":
        return _overview()
    if name not in names():
        raise unknown("generated part of docs/datasets.md", name, ["overview", *names()])
    return _rows(name)


def render(text: str) -> tuple[str, list[str]]:
    """Returns the document with new parts, and the names of the parts that changed.

    Raises UserError: a part without an end, an unknown one, or none at all.
    """
    begun, found = len(re.findall(r"<!-- generated:", text)), PART.findall(text)
    if begun != len(found) or not found:
        raise UserError(f"{PATH.name}: {begun} generated parts begin, {len(found)} are well formed and end.")
    changed = []

    def fill(match: re.Match) -> str:
        new = generate(match[2])
        if new != match[3]:
            changed.append(match[2])
        return match[1] + new + match[4]

    return PART.sub(fill, text), changed


def update(check: bool = False, path: Path | None = None) -> int:
    """Bring the document up to date, or only say which parts are not. The exit status. Raises UserError, OSError."""
    path = path or PATH
    text, changed = render(path.read_text(encoding="utf-8"))
    for name in changed:
        print(f"{path.name}: the part '{name}' {'is out of date' if check else 'was updated'}")
    if not changed:
        print(f"{path.name} is up to date")
    elif check:
        print("Run: python tools/data.py docs")
        return 1
    else:
        write_text_atomically(path, text)
    return 0


def _overview() -> str:
    rows = []
    for name in names():
        known, kind = facts(name), reader(name)
        counts = " / ".join(map(_number, known["counts"])) if "counts" in known else "yours"
        anchor = "your-own-pictures" if name == OWN else name.lower()
        config, classes = f"`{known['config']}`", _number(known["classes"]) if "classes" in known else "yours"
        rows.append([f"[{name}](#{anchor})", config, classes, counts, f"`{kind.template}`", known.get("source", "you")])
    head = ["name", "config", "classes", "train / val / test", "prompt", "source"]
    return tabulate(rows, headers=head, tablefmt="github", disable_numparse=True) + "\n"


def _rows(name: str) -> str:
    known, kind = facts(name), reader(name)
    if name == OWN:
        return _table([("config", f"`configs/datasets/{known['config']}.yaml`"), ("prompt", f"`{kind.template}`")])
    n, counts = known["classes"], known["counts"]
    base = (n + 1) // 2
    parts = [f"{_number(c)} {part}" for c, part in zip(counts, ("train", "val", "test"), strict=True) if c]
    rows = [
        ("config", f"`configs/datasets/{known['config']}.yaml`"),
        ("classes", f"{n:,} (base {base}, new {n - base})"),
        ("images", ", ".join(parts)),
        ("prompt", f"`{kind.template}`"),
        ("source", known["source"]),
        ("licence", known["licence"]),
    ]
    if kind.split_file and name in CATALOGUE:
        rows.append(("split file", f"`{kind.split_file}`"))
    if known.get("files"):
        rows.append(("files", "<br>".join(map(_file, known["files"]))))
    if name in CATALOGUE and (others := alternatives(name)):
        rows.append(("elsewhere", "<br>".join(others)))
    rows.append(("pitfalls", known["pitfalls"]))
    return _table(rows)


def _table(rows: list[tuple[str, str]]) -> str:
    """Returns two columns; not aligned, because cells are long."""
    cells = [(key, value.replace("|", "\\|")) for key, value in rows]
    return "| | |\n|---|---|\n" + "".join(f"| {key} | {value} |\n" for key, value in cells)


def _file(file: dict) -> str:
    url = file.get("urls", [None])[0] or f"https://drive.google.com/uc?id={file['drive']}"
    return f"[{file['file']}]({url})" + (f" {file['checksum'].replace(':', ' ')}" if file.get("checksum") else "")


def _number(n: int | None) -> str:
    return f"{n:,}" if n else "–"
