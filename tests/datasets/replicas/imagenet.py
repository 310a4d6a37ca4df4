"""Releases of wnid folders: ImageNet and its four variants. Two classes share the name "crane", as in the real list."""

from . import TEST_ONLY, TRAIN_TEST, Replica, touch

CLASSES = {
    "n01440764": "tench", "n01443537": "goldfish", "n01484850": "great white shark", "n01491361": "tiger shark",
    "n01494475": "hammerhead shark", "n01496331": "electric ray", "n02012849": "crane", "n02110341": "Dalmatian",
    "n02124075": "Egyptian Mau", "n02797295": "wheelbarrow", "n03126707": "crane", "n07714990": "jack-o'-lantern",
}  # fmt: skip


def write_names(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classnames.txt").write_text("".join(f"{wnid} {name}\n" for wnid, name in CLASSES.items()))


def class_folders(folder, names, image, part, prefix="", numbers=(10, 9, 2)):
    """Rows of ``folder``/<name>/, written in an order that is not the sorted one, with stray files."""
    rows = []
    for label, name in reversed(list(enumerate(names))):
        images = [image.format(name=name, i=i) for i in numbers]
        for file in images:
            touch(folder / name / file)
        touch(folder / name / ".DS_Store")
        rows = [(f"{prefix}{name}/{file}", label, part) for file in sorted(images)] + rows
    touch(folder / ".DS_Store")
    return rows


def imagenet(root):
    folder = root / "imagenet"
    replica = Replica(TRAIN_TEST, list(CLASSES.values()))
    write_names(folder)
    for part, place, image in (("train", "train", "{name}_{i}.JPEG"), ("test", "val", "ILSVRC2012_val_{i:08d}.JPEG")):
        replica.rows += class_folders(folder / "images" / place, CLASSES, image, part, f"{place}/")
    return replica


def imagenetv2(root):
    folder = root / "imagenetv2"
    write_names(folder)
    images = folder / "imagenetv2-matched-frequency-format-val"
    names = [str(label) for label in range(len(CLASSES))]
    return Replica(TEST_ONLY, list(CLASSES.values()), class_folders(images, names, "{i:x}{name}5e.jpeg", "test"))


def sketch(root):
    folder = root / "imagenet-sketch"
    write_names(folder)
    rows = class_folders(folder / "images", CLASSES, "sketch_{i}.JPEG", "test")
    return Replica(TEST_ONLY, list(CLASSES.values()), rows)


def some_classes(folder, images, chosen):
    write_names(folder)
    wnids = [wnid for i, wnid in enumerate(CLASSES) if i in chosen]
    replica = Replica(TEST_ONLY, [CLASSES[wnid] for wnid in wnids])
    replica.rows += class_folders(folder / images, wnids, "0.{i:06d}_{name} _ fox.jpg", "test")
    touch(folder / images / "README.txt")
    return replica


def imagenet_a(root):
    return some_classes(root / "imagenet-adversarial", "imagenet-a", {1, 4, 6, 10, 11})


def imagenet_r(root):
    return some_classes(root / "imagenet-rendition", "imagenet-r", {0, 1, 3, 8})


REPLICAS = {
    "ImageNet": imagenet,
    "ImageNetV2": imagenetv2,
    "ImageNetSketch": sketch,
    "ImageNetA": imagenet_a,
    "ImageNetR": imagenet_r,
}
