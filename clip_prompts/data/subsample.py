"""Base and new classes (CoCoOp, section 4.1): the first half of the labels, and the rest."""

from clip_prompts.common.errors import UserError, unknown

from .items import known_item, view_as_shown

CHOICES = ("all", "base", "new")


def subsample_classes(*args, subsample: str = "all"):
    """Keep the ``base`` or ``new`` classes of each list of Datum; labels are numbered from 0 again.

    Labels are those of the first list, sorted; base is the first ``ceil(n / 2)``. ``all`` returns the lists
    unchanged. Returns as many lists as were given. Raises UserError for another choice or an empty half.
    """
    if subsample not in CHOICES:
        raise unknown("value of DATASET.SUBSAMPLE_CLASSES", subsample, CHOICES)
    if subsample == "all":
        return args
    labels = sorted({item.label for item in args[0]})
    middle = (len(labels) + 1) // 2
    selected = labels[:middle] if subsample == "base" else labels[middle:]
    if not selected:
        raise UserError(f"DATASET.SUBSAMPLE_CLASSES {subsample} leaves no class: the dataset has {len(labels)}.")
    relabel = {label: new for new, label in enumerate(selected)}
    kept: dict[int, list] = {}  # by id: a list that is given twice stays one list (ImageNet's val is its test list)
    for items in args:
        if id(items) not in kept:
            chosen = [item for item in items if item.label in relabel]
            new = [known_item(i.impath, relabel[i.label], i.domain, i.classname) for i in chosen]
            view_as_shown(n for n, item in zip(new, chosen, strict=True) if getattr(item, "as_viewed", False))
            kept[id(items)] = new
    return [kept[id(items)] for items in args]
