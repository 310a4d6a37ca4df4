"""Layout ``DIR/<domain>/<class>/picture.jpg``, read where a run names its domains."""

from collections.abc import Collection

from clip_prompts.common.errors import unknown
from clip_prompts.data.class_folders import class_folders

from .class_folders import LAYOUTS, NO_CLASSES, Skipped, pictures_of
from .listing import Listing
from .names import name_folders


def list_domains(folder: str, domains: Collection[str]) -> Listing:
    """The pictures of ``domains``. Raises UserError: an unknown domain, a class folder without pictures."""
    there = class_folders(folder, NO_CLASSES, LAYOUTS)
    for domain in domains:
        if domain not in there:
            raise unknown(f"domain of {folder}", domain, there)
    skipped = Skipped()
    pictures = [p for domain in dict.fromkeys(domains) for p in pictures_of(folder, skipped, domain, domain=domain)]
    skipped.report()
    return Listing(f"Folder {folder}", pictures, name_folders(folder, sorted({p.key for p in pictures})))
