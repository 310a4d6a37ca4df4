"""ImageFolder: the user's own pictures, without code. The layouts are in ``clip_prompts/data/folders/``."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.common.errors import UserError
from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.folders.divide import divide, target_to_train
from clip_prompts.data.folders.find import find_folder, find_list, image_folder, make_listing
from clip_prompts.data.folders.stored_split import StoredSplit
from clip_prompts.data.items import known_item, view_as_shown


@DATASET_REGISTRY.register()
class ImageFolder(BenchmarkDataset):
    """DATASET.ROOT is the folder itself. Reads DATASET.LIST_FILE, SOURCE_DOMAINS and TARGET_DOMAINS too.

    With DATASET.UNLABELED ``target``, the target's pictures are ``train_u``: those of the user's train part of it, or
    else those that are tested.
    Pictures are read as a viewer shows them. A split that the user did not make is stored, see ``StoredSplit``.
    """

    dataset_dir = "."
    has_domains = True
    find_dataset_dir = staticmethod(find_folder)

    def __init__(self, cfg):
        self.settings, self.output_dir, self.needs_val = cfg.DATASET, cfg.OUTPUT_DIR, needs_val(cfg)
        super().__init__(cfg)

    def has_own_pictures(self):
        return True

    def missing_hint(self):
        return f"Put it into {self.image_dir}, or take it out of the list."

    def load_split(self):
        """Read a split file of the user's with the base class; all other layouts are for ``read_raw``."""
        self.domains_of_run = [list(self.settings[f"{kind}_DOMAINS"]) for kind in ("SOURCE", "TARGET")]
        self.list_file = find_list(self.dataset_dir, self.settings.get("LIST_FILE", ""))
        if self.list_file.endswith(".json"):
            if any(self.domains_of_run):
                raise UserError(
                    f"Split file {self.list_file} has no domains. Remove the domains, or set DATASET.LIST_FILE to a "
                    "list that has them."
                )
            self.split_path, self.image_dir = self.list_file, image_folder(self.list_file, self.dataset_dir)
        lists = super().load_split()
        for items in lists:
            view_as_shown(items)
        return lists

    def read_raw(self, rng):
        listing = make_listing(self.dataset_dir, self.list_file, sum(self.domains_of_run, []), self.output_dir)
        places = [self.dataset_dir, self.own_cache("splits")]
        lists = divide(
            listing, *self.domains_of_run, StoredSplit(self.dataset_dir, places, self.writes_files), self.needs_val
        )
        self.test_only = lists[0] == lists[2]
        self.listed = listing, lists
        return [self.datums(rows, listing.source) for rows in lists]

    def target_images(self):
        if not self.domains_of_run[1]:
            return []
        listing, lists = self.listed
        items = self.datums(target_to_train(listing, lists[0], lists[2], self.domains_of_run[1]), listing.source)
        skipped = {os.path.join(self.image_dir, path) for path in self.unreadable}
        items = [item for item in items if item.impath not in skipped]
        return self.readable([items])[0] if self.writes_files else items

    def datums(self, rows, source):
        """Returns Datum objects of Labelled rows, with their domains."""
        items = self.items([row[:3] for row in rows], source)
        found = [known_item(i.impath, i.label, row.domain, i.classname) for i, row in zip(items, rows, strict=True)]
        view_as_shown(found)
        return found


def needs_val(cfg) -> bool:
    """Returns True if a run uses validation images: to select an epoch, to evaluate, or if its trainer says so."""
    from dassl.engine import TRAINER_REGISTRY

    known = cfg.TRAINER.NAME in TRAINER_REGISTRY.registered_names()
    trainer = TRAINER_REGISTRY.get(cfg.TRAINER.NAME) if known else None
    used = cfg.TEST.FINAL_MODEL == "best_val" or cfg.TEST.SPLIT == "val"
    return used or getattr(trainer, "NEEDS_VAL", False)
