"""FMoW, iWildCam and Camelyon17 of WILDS, read from their own tables: the package ``wilds`` is not needed.

Parts are the official ones: "train", and the validation and test images of other domains ("val", "test").
Koh et al., "WILDS: A Benchmark of in-the-Wild Distribution Shifts", ICML 2021, section 4.
"""

import csv
import io
import os

from dassl.utils import ConfigError, MissingFileError
from dassl.utils.regular_files import read_text

from ..base_dataset import DatasetBase, Datum
from ..build import DATASET_REGISTRY
from ..shared.pictures import find_dataset, leads_outside

PARTS = ("train", "val", "test")


class WILDSBase(DatasetBase):
    """``wilds/<dataset_dir>/`` as WILDS unpacks it.

    Domains are numbered in sorted order in each part by itself. ``NUM_SHOTS`` draws from each class of each domain
    of the training images. A class that the training images lack gets a label behind theirs.

    A subclass sets ``dataset_dir`` and writes :meth:`rows`.

    Raises:
        MissingFileError, ConfigError: of the data; the line names the file.
    """

    page = "https://wilds.stanford.edu/get_started/ (https://wilds.stanford.edu/downloads for the archives)"

    def __init__(self, cfg):
        name = type(self).__name__
        inner = os.path.join("wilds", self.dataset_dir)
        self.dataset_dir = find_dataset(name, cfg.DATASET.ROOT, inner, f"Get it from {self.page}.")
        rows = {part: [] for part in PARTS}
        for part, *row in self.rows():
            if part in rows:
                rows[part].append(row)
        trained = {key for _, key, _, _ in rows["train"]}
        others = {key for part in PARTS for _, key, _, _ in rows[part]} - trained
        labels = {key: label for label, key in enumerate((*sorted(trained), *sorted(others)))}
        lists = {part: self._items(rows[part], labels) for part in PARTS}
        if cfg.DATASET.NUM_SHOTS >= 1 and lists["train"]:
            by_domain = self.split_dataset_by_domain(lists["train"]).values()
            drawn = self.generate_fewshot_dataset(*by_domain, num_shots=cfg.DATASET.NUM_SHOTS)
            lists["train"] = drawn if len(by_domain) == 1 else [item for items in drawn for item in items]
        super().__init__(train_x=lists["train"], val=lists["val"] or None, test=lists["test"])

    def rows(self):
        """Yield (part, path below the folder, class key, class name, domain key) of every image."""
        raise NotImplementedError

    def _items(self, rows, labels):
        domains = {key: place for place, key in enumerate(sorted({domain for *_, domain in rows}))}
        found = []
        for path, key, name, domain in rows:
            if leads_outside(path):
                raise ConfigError(
                    f'{type(self).__name__}: the path "{path}" is outside of {self.dataset_dir}. Correct the file '
                    "that lists it."
                )
            found.append(Datum(os.path.join(self.dataset_dir, *path.split("/")), labels[key], domains[domain], name))
        return found

    def table(self, file, *columns):
        """Return the named columns of every line of a CSV file, as text. Raises MissingFileError, ConfigError."""
        path = os.path.join(self.dataset_dir, file)
        if not os.path.isfile(path):
            raise MissingFileError(f'{type(self).__name__}: there is no file "{path}". Get it from {self.page}.')
        try:
            reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
            if missing := set(columns) - set(reader.fieldnames or ()):
                raise ConfigError(f'"{path}" has no column {", ".join(sorted(missing))}. Get it from {self.page}.')
            return [tuple(row[column] or "" for column in columns) for row in reader]
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(f'"{path}" is not a table in CSV ({error}). Get it from {self.page}.') from error

    def number(self, text, file):
        """Return a whole number that a table holds. Raises ConfigError."""
        try:
            return int(float(text))
        except (ValueError, OverflowError) as error:
            raise ConfigError(f'{os.path.join(self.dataset_dir, file)} holds "{text}", not a number.') from error


@DATASET_REGISTRY.register()
class FMoW(WILDSBase):
    """Satellite images of 62 kinds of land use; a domain is a region of the world in a year.

    Trained on 2002 to 2012, validated on 2013 to 2015, tested on 2016 and later.
    """

    dataset_dir = "fmow_v1.1"

    def rows(self):
        regions = dict(self.table("country_code_mapping.csv", "alpha-3", "region"))
        table = self.table("rgb_metadata.csv", "split", "category", "country_code", "timestamp")
        for number, (split, category, country, time) in enumerate(table):
            year = self.number(time[:4], "rgb_metadata.csv")
            own = "test" if year >= 2016 else "val" if year >= 2013 else "train"
            # The images of a part that lie in its years; "seq" was held back and has no pictures.
            part = own if split == own else ""
            domain = (regions.get(country, "Other"), year)
            yield part, f"images/rgb_img_{number}.png", category, category.replace("_", " "), domain


@DATASET_REGISTRY.register()
class IWildCam(WILDSBase):
    """Animals (182 kinds, "empty" among them) before camera traps; a domain is a trap."""

    dataset_dir = "iwildcam_v2.0"

    def rows(self):
        names = {}
        if os.path.isfile(os.path.join(self.dataset_dir, "categories.csv")):
            names = {self.number(y, "categories.csv"): name for y, name in self.table("categories.csv", "y", "name")}
        table = self.table("metadata.csv", "split", "filename", "y", "location_remapped")
        for part, file, label, location in table:
            label = self.number(label, "metadata.csv")
            name = names.get(label, f"class {label}")
            yield part, f"train/{file}", label, name, self.number(location, "metadata.csv")


@DATASET_REGISTRY.register()
class Camelyon17(WILDSBase):
    """Patches of lymph node sections, with and without a tumor; a domain is a hospital.

    Validated on hospital 1, tested on hospital 2, trained on the training patches of the others.
    """

    dataset_dir = "camelyon17_v1.0"

    def rows(self):
        table = self.table("metadata.csv", "patient", "node", "x_coord", "y_coord", "tumor", "center", "split")
        for patient, node, x, y, tumor, center, split in table:
            tumor, center, split = (self.number(text, "metadata.csv") for text in (tumor, center, split))
            part = {1: "val", 2: "test"}.get(center, "" if split else "train")
            slide = f"patient_{patient}_node_{node}"
            name = "tumor" if tumor else "normal tissue"
            yield part, f"patches/{slide}/patch_{slide}_x_{x}_y_{y}.png", tumor, name, center
