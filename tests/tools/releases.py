"""The replicas of raw releases as what their sources serve: archives of the catalogue's names."""

from datafiles.catalogue import CATALOGUE, is_there
from datafiles.state import build
from tests.tools.webserver import tar, zipped

BY_HAND = {"ImageNet": "images", "ImageNetSketch": "images"}  # what no address serves


def counts_of(root, name, monkeypatch):
    """Make the replica's counts the published ones."""
    data = build(name, str(root))
    n = [None if data.test_only else len(data.train_x), len(data.val or ()), len(data.test)]
    monkeypatch.setitem(CATALOGUE[name], "counts", n)
    monkeypatch.setitem(CATALOGUE[name], "classes", data.num_classes)


def pack(file, folder):
    """The content of one entry of the catalogue, from a dataset's folder; None for a file that is not there."""
    if not is_there(file, folder):
        return None
    if "moves" not in file:
        return (folder / file["file"]).read_bytes()
    members = []
    for name, into in file["moves"]:
        paths = [p for p in [folder / into, *(folder / into).rglob("*")] if p.is_file()]
        members += [("/".join(("release", name, *p.relative_to(folder / into).parts)), p.read_bytes()) for p in paths]
    if "nested" in file:
        members = [(f"outer/{file['nested']}", tar(*members))]
    return (zipped if file["file"].endswith(".zip") else tar)(*members)


def entry(name, file):
    return next(entry for entry in CATALOGUE[name]["files"] if entry["file"] == file)


def row(prepare, name="OxfordPets"):
    (line,) = [line for line in prepare.out.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]
