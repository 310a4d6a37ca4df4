"""ShapesDomains: rendered shapes in five domains, for adaptation, generalization and few labels."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.common.errors import unknown
from clip_prompts.data import GeneratedDataset
from clip_prompts.data.items import known_item

from .shapes import COLOURS, SHAPES

# Each domain is a variant of ``paper_cutouts``.
DOMAINS = {"clean": "plain", "sketch": "sketch", "blur": "blur", "noise": "noise", "inverted": "inverted"}
IMAGES = {"train": 10, "val": 2, "test": 8}  # of each shape, in each colour, in each domain


@DATASET_REGISTRY.register()
class ShapesDomains(GeneratedDataset):
    """7 classes, the shapes, in all colours: 420/84/336 pictures (train/val/test) of 32 x 32 pixels in each domain.

    ``SOURCE_DOMAINS`` (all, where none is named) are for training and validation, ``TARGET_DOMAINS`` (the sources,
    where none is named) for testing. ``DATASET.UNLABELED`` "" means ``target`` if a target is no source, else
    ``rest``. No two domains show the same scene. Domains are numbered by their place in the run's lists.
    """

    dataset_dir = "shapes_domains"
    split_file = "split_ShapesDomains.json"
    template = "a photo of a {}."
    domains = list(DOMAINS)

    def __init__(self, cfg):
        self.sources = list(cfg.DATASET.SOURCE_DOMAINS) or self.domains
        self.targets = list(cfg.DATASET.TARGET_DOMAINS) or self.sources
        for name in (*self.sources, *self.targets):
            if name not in self.domains:
                raise unknown("domain of ShapesDomains", name, self.domains)
        self.unlabelled = "rest" if set(self.targets) <= set(self.sources) else "target"
        super().__init__(cfg)

    def load_split(self):
        train, val, test = super().load_split()
        self.target_train = self._of(train, self.targets)
        return self._of(train, self.sources), self._of(val, self.sources), self._of(test, self.targets)

    def target_images(self):
        return self.target_train

    def _of(self, items, domains):
        """Returns the items of some domains, in the order of these."""
        start = len(self.image_dir) + 1
        by_domain = {}
        for item in items:
            by_domain.setdefault(item.impath[start:].split("/")[0], []).append(item)
        return [
            known_item(item.impath, item.label, number, item.classname)
            for number, name in enumerate(domains)
            for item in by_domain[name]
        ]

    def generate(self, folder):
        from PIL import Image

        from clip_prompts.data.rendering.paper_cutouts import draw_cutout

        rows = {part: [] for part in IMAGES}
        for number, (domain, variant) in enumerate(DOMAINS.items()):
            for place, (part, count) in enumerate(IMAGES.items()):
                (folder / domain / part).mkdir(parents=True)
                for label, shape in enumerate(SHAPES):
                    for k in range(count * len(COLOURS)):
                        colour = COLOURS[k % len(COLOURS)]
                        pixels = draw_cutout(colour, shape, variant, (place, label, k, number))
                        file = f"{domain}/{part}/{shape}_{k:02d}_{colour}.png"
                        Image.fromarray(pixels).save(folder / file, compress_level=1)
                        rows[part].append((file, label, shape))
        return rows
