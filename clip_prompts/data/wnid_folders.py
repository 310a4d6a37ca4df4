"""ImageNet and its variants: one folder per WordNet id (wnid), named by ``classnames.txt``."""

import os
import re

from clip_prompts.common.errors import UserError

from .annotations import read_lines
from .benchmark import BenchmarkDataset
from .class_folders import class_folders, image_names, image_suffixed
from .imagenet_names import check_names
from .items import known_item

NAMES_FILE = "classnames.txt"
HINT = f"Put CoOp's {NAMES_FILE} there, or run: python tools/data.py prepare ImageNet"


class WnidFolders(BenchmarkDataset):
    """A reader of ``<wnid>/*.JPEG``: the label of a class is the rank of its folder among the sorted wnids.

    ``classnames.txt`` has a line ``n01440764 tench`` per class. The reader looks for it in the dataset's folder, then
    in ImageNet's. The names are those curated for CLIP (see ``imagenet_names.py``); two classes may share a name.
    ``all_classes``: every class of the file must have a folder (ImageNetA and ImageNetR have 200 of them).
    Upstream takes images in the order of the file system; here they are sorted. A ``test_only`` reader needs no other
    code; its labels and halves are those of its own folders.
    """

    unique_names = False
    all_classes = True

    def read_raw(self, rng):
        (test,) = self.read_folders("")
        return list(test), [], test

    def classes(self) -> dict[str, str]:
        """Returns folder name -> class name, in the order of the labels. Raises UserError."""
        return dict(sorted(self.names().items()))

    def names(self) -> dict[str, str]:
        """Returns wnid -> class name, in the order of ``classnames.txt``. Raises UserError."""
        own = os.path.join(self.dataset_dir, NAMES_FILE)
        imagenets = os.path.join(os.path.dirname(self.dataset_dir), "imagenet", NAMES_FILE)
        path = imagenets if not os.path.exists(own) and os.path.exists(imagenets) else own
        names = self.read_classnames(path)
        check_names(names, path, HINT)
        return names

    @staticmethod
    def read_classnames(text_file: str) -> dict[str, str]:
        """Returns wnid -> class name, in the order of the file. Raises UserError.

        Readers written for upstream's CoOp call it by this name.
        """
        names: dict[str, str] = {}
        for line in read_lines(text_file, HINT):
            wnid, _, name = line.partition(" ")
            name = name.strip()
            if not re.fullmatch(r"n\d{8}", wnid) or not name:
                raise UserError(
                    f"{text_file}: '{line}' is not a WordNet id and a name, such as 'n01440764 tench'. {HINT}"
                )
            if wnid in names:
                raise UserError(f"{text_file} names the class {wnid} twice: '{names[wnid]}' and '{name}'. {HINT}")
            names[wnid] = name
        return names

    def read_folders(self, *parts: str) -> list[list]:
        """Returns a list per part: a Datum per image in its class folders ``<part>/<name>/``. Raises UserError."""
        classes = self.classes()
        lists: list[list] = []
        for part in parts:
            lists.append(items := [])
            for label, name in enumerate(self.check_folders(part, classes)):
                folder = os.path.join(self.image_dir, part, name)
                prefix = os.path.join(folder, "")
                for image in image_names(folder, self.missing_hint()):
                    items.append(known_item(prefix + image, label, 0, classes[name]))
        return lists

    def check_folders(self, part: str, classes: dict[str, str]) -> list[str]:
        """Returns the class folders in ``part``, in the order of ``classes``. Raises UserError for any other folder."""
        place = os.path.join(self.image_dir, part).rstrip(os.sep)
        self.refuse_flat(place)
        found = set(class_folders(place, hint=self.missing_hint()))
        if strange := found - set(classes):
            raise UserError(
                f"{place} holds the folder {min(strange)}, which is not a class in {NAMES_FILE}. Move it away, or take "
                f"CoOp's {NAMES_FILE}."
            )
        lacking = [name for name in classes if name not in found]
        if lacking and self.all_classes:
            raise UserError(
                f"{len(lacking)} of {len(classes)} class folders are missing in {place}, such as {lacking[0]}. "
                f"{self.missing_hint()}"
            )
        return [name for name in classes if name in found]

    def refuse_flat(self, place: str) -> None:
        """Raise UserError if there are images next to the class folders: their classes are unknown."""
        if not os.path.isdir(place):
            return  # class_folders says so
        with os.scandir(place) as entries:
            flat = sorted(entry.name for entry in entries if image_suffixed(entry.name) and entry.is_file())
        if flat:
            raise UserError(
                f"{place} holds {len(flat)} images that are not in class folders, such as {flat[0]}. Move each into "
                "the folder of its class; for ImageNet's val/, run valprep.sh of "
                "https://github.com/soumith/imagenetloader.torch inside it."
            )
