"""The base class of dataset readers."""

import hashlib
import io
import os
import random
from collections.abc import Sequence
from contextlib import redirect_stdout

from dassl.data.datasets import DatasetBase
from yacs.config import CfgNode

from clip_prompts.common.errors import UserError
from clip_prompts.common.places import user_cache_dir

from .checks import check_contents, check_splits
from .fewshot import VAL_SHOTS, FewShotStore, read_shots
from .items import Row, hash_lists, to_items
from .readable import skip_unreadable
from .split_file import read_split, save_split
from .split_rules import split_trainval
from .subsample import subsample_classes
from .unlabelled import labelled_per_class, unlabelled_images

# A split that is made here is always the one that upstream makes if its first run has --seed 1. It does not depend on
# the seed that runs first, and it leaves the global generator to the few-shot draw. So a seed selects the same images
# in every run.
SPLIT_SEED = 1


class BenchmarkDataset(DatasetBase):
    """A labelled image folder with fixed train, val and test lists, few-shot training and base/new classes.

    A subclass states:

    - ``dataset_dir``: its folder below ``DATASET.ROOT``;
    - ``image_folder``: the folder inside it that image paths start from ("" for the dataset folder itself);
    - ``split_file``: the JSON file inside it with the lists (see ``split_file.py``); "" if there is none, so that
      ``read_raw`` is always called;
    - ``template``: the hand-crafted prompt for zero-shot CLIP, ``{}`` for the class name;
    - ``hint``: one sentence for a user who does not have the data;
    - ``unlabelled``: the meaning of ``DATASET.UNLABELED`` "", see ``unlabelled.py``;
    - ``target_images()``: of a dataset with domains, the images of the run's target domains to train on unlabelled;
    - ``test_only``: True if there is only a test list. It is used as the training list too, so that class names exist;
      val is empty, and no shots are drawn;
    - ``unique_names``: False where two classes may share a name, as in ImageNet;
    - ``writes_files``: False for a program that only looks at the data: nothing is written into its folder, and
      pictures are not checked;
    - ``has_domains``: True if ``DATASET.SOURCE_DOMAINS`` and ``TARGET_DOMAINS`` have a meaning;
    - ``read_raw(rng)``: makes (train, val, test) lists of Datum from the original annotations. It is called if there is
      no split file, which is then written. ``items(rows, source)`` turns ``(relative path, label,
      class name)`` into Datum objects; ``rng`` is the generator to split with.

    Order, as upstream's: read the lists, draw K shots of all classes (train, then min(K, 4) of val), and only then
    keep base or new classes. So base and new runs of one seed share their shots.

    Reads the config keys ``DATASET.ROOT``, ``DATASET.NUM_SHOTS``, ``DATASET.SHOTS_FILE``,
    ``DATASET.SUBSAMPLE_CLASSES``, ``SEED``, and for ``train_u`` ``DATASET.UNLABELED``, ``NUM_LABELED`` and
    ``ALL_AS_UNLABELED``. Shots do not apply to a test-only set, which ignores their keys.
    Attributes: ``dataset_dir`` and ``image_dir`` (absolute paths), ``split_path`` ("" if there is none),
    ``split_sha256`` (of all three lists) and ``selection_sha256`` (of what is used: after shots and classes);
    ``unreadable``: paths below ``image_dir`` that DATASET.UNREADABLE ``skip`` removed.
    Raises UserError for missing or inconsistent data.
    """

    dataset_dir = ""
    image_folder = ""
    split_file = ""
    template = "a photo of a {}."
    hint = ""
    unlabelled = ""
    test_only = False
    unique_names = True
    writes_files = True
    has_domains = False

    # The names by which readers written for upstream's CoOp use this machinery through OxfordPets.
    read_split = staticmethod(read_split)
    save_split = staticmethod(save_split)
    split_trainval = staticmethod(split_trainval)
    subsample_classes = staticmethod(subsample_classes)

    def __init__(self, cfg):
        settings = cfg.DATASET
        self.dataset_dir = self.find_dataset_dir(settings.ROOT)
        self.image_dir = os.path.join(self.dataset_dir, self.image_folder).rstrip(os.sep)
        self.split_path = os.path.join(self.dataset_dir, self.split_file) if self.split_file else ""
        if not os.path.isdir(self.image_dir):
            raise UserError(f"Image folder {self.image_dir} not found. {self.missing_hint()}")

        if settings.get("SHOTS_FILE", "") and settings.NUM_SHOTS < 1 and not self.test_only:
            raise UserError(
                f"DATASET.SHOTS_FILE {settings.SHOTS_FILE} needs DATASET.NUM_SHOTS, the K of the file; it is "
                f"{settings.NUM_SHOTS}, which trains on all images."
            )
        self.unreadable, self._choice = [], settings.get("UNREADABLE", "error")
        train, val, test = self.load_split()
        if self.writes_files and (self.has_own_pictures() or self._choice != "error"):
            train, val, test = self.readable([train, val, test])
        if self.writes_files and self.has_own_pictures() and not self.test_only:
            check_contents(train, val, test)
        full = (train, val, test)
        self.split_sha256 = hash_lists(full, self.image_dir)
        shots = labelled_per_class(settings, train)
        if shots >= 1 and not self.test_only:
            train, val = self.select_shots(train, val, settings, cfg.SEED, shots)
        kind = settings.get("UNLABELED", "") or self.unlabelled
        train_u = unlabelled_images(kind, settings, full[0], train, self.target_images)
        classes = settings.get("SUBSAMPLE_CLASSES", "all")
        train, val, test, train_u = self.subsample_classes(train, val, test, train_u, subsample=classes)
        used = (train, val, test)
        untouched = all(a is b for a, b in zip(used, full, strict=True))
        self.selection_sha256 = self.split_sha256 if untouched else hash_lists(used, self.image_dir)
        super().__init__(train_x=train, train_u=train_u or None, val=val, test=test)

    def has_own_pictures(self) -> bool:
        """Returns True unless a reader of this package reads a public dataset."""
        return not type(self).__module__.startswith("datasets.")

    def readable(self, lists: Sequence[list]) -> list[list]:
        """Returns the lists without unreadable pictures, and adds these to ``unreadable``. Raises UserError."""
        lists, unreadable = skip_unreadable(lists, self._choice, self.image_dir)
        self.unreadable += unreadable
        return lists

    def target_images(self) -> list:
        """Returns images of the target domains to train on without labels; none for a dataset without domains."""
        return []

    def read_raw(self, rng: random.Random) -> tuple[list, list, list]:
        """Make (train, val, test) lists of Datum from the original annotations; see the class."""
        raise UserError(f"Split file {self.split_path} not found. {self.missing_hint()}")

    def missing_hint(self) -> str:
        """Returns the next step for missing files, in one or two sentences."""
        return self.hint or f"Put the files of {type(self).__name__} into {self.dataset_dir}."

    def find_dataset_dir(self, root: str) -> str:
        """Returns the dataset's folder, absolute. Raises UserError with the expected folder if it is missing."""
        base = os.path.abspath(os.path.expanduser(root))
        folder = os.path.join(base, type(self).dataset_dir)
        if os.path.isdir(folder):
            return folder
        name = type(self).__name__
        if not root:
            raise UserError(
                f"{name} needs the data root: DATASET.ROOT is empty and {folder} does not exist. "
                f"Give --root, the folder that holds {type(self).dataset_dir}/."
            )
        if not os.path.isdir(base):
            raise UserError(f"Data root {base} does not exist. Give --root, the folder that holds the datasets.")
        raise UserError(f"{name} expects the folder {folder}, which does not exist. {self.hint}".rstrip())

    def load_split(self) -> tuple[list, list, list]:
        """Returns the full lists: from the split file or, if there is none, from the raw annotations."""
        if self.split_path and os.path.exists(self.split_path):
            return self.read_split(self.split_path, self.image_dir, self.test_only, self.missing_hint())
        train, val, test = self.read_raw(random.Random(SPLIT_SEED))
        source = f"{type(self).__name__} in {self.dataset_dir}"
        check_splits(train, val, test, source, self.unique_names, self.test_only)
        if self.split_path and self.writes_files:
            try:
                self.save_split(train, val, test, self.split_path, self.image_dir, made_here=True)
            except OSError as error:  # a read-only folder: the same split is made again by the next run
                print(f"Split not saved to {self.split_path} ({error.strerror or error}); each run makes it again")
        return train, val, test

    def items(self, rows: Sequence[Row], source: str) -> list:
        """Returns Datum objects of ``(path below image_dir, label, class name)``; ``source`` starts error messages."""
        return to_items(rows, self.image_dir, source, self.missing_hint())

    def own_cache(self, kind: str) -> str:
        """Returns a place for files of a ``kind`` in the user's cache, for data folders that cannot be written."""
        folder_hash = hashlib.sha256(os.path.realpath(self.dataset_dir).encode()).hexdigest()[:12]
        return str(user_cache_dir() / kind / f"{type(self).__name__}-{folder_hash}")

    def select_shots(self, train: list, val: list, settings: CfgNode, seed: int, num_shots: int) -> tuple[list, list]:
        """Returns the shots drawn with the seed or, after the same draw, those of ``DATASET.SHOTS_FILE``.

        So the random stream is the same with and without the file. A validation list without shots stays whole.
        """
        path = settings.get("SHOTS_FILE", "")
        drawn_train, drawn_val = self.draw_shots(train, val, num_shots, seed)
        if not path:
            return drawn_train, drawn_val
        whole_val = drawn_val is val
        print(f"Few-shot selection of {path} in place of the one drawn")
        train, val = read_shots(path, settings.NAME, num_shots, train, [] if whole_val else val, self.image_dir)
        return train, drawn_val if whole_val else val

    def draw_shots(self, train: list, val: list, num_shots: int, seed: int) -> tuple[list, list]:
        """Select K training and min(K, 4) validation images per class; see ``fewshot.py``."""

        def draw() -> tuple[list, list]:
            return (
                self.generate_fewshot_dataset(train, num_shots=num_shots),
                self.generate_fewshot_dataset(val, num_shots=min(num_shots, VAL_SHOTS)),
            )

        if seed < 0:  # an unseeded run draws again each time: nothing to store
            return draw()
        folders = [os.path.join(self.dataset_dir, "split_fewshot"), self.own_cache("split_fewshot")]
        self.store = store = FewShotStore(folders, type(self).__name__, train, val, num_shots, seed, self.image_dir)
        kept = store.find()
        self.selection_file = store.path
        if kept is not None:
            # Draw all the same, so that the random stream is that of a run without a stored selection.
            with redirect_stdout(io.StringIO()):
                draw()
            return kept
        at_seed = random.getstate() == random.Random(seed).getstate()
        selection = draw()
        if at_seed and self.writes_files:  # else something drew before: not the shots of this seed
            store.keep(*selection)
            self.selection_file = store.path
        return selection
