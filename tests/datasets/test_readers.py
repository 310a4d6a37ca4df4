"""Every reader on a replica of its raw release and of its split file (see ``replicas/``)."""

import json
import random
from pathlib import Path

import pytest
from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.clip import templates
from clip_prompts.data import BenchmarkDataset, GeneratedDataset
from tests.conftest import ROOT
from tests.datasets.replicas import OFFICIAL, PER_CLASS, REPLICAS, TEST_ONLY, TRAIN_TEST, write_split

PARTS = ("train", "val", "test")


def reader(name):
    return DATASET_REGISTRY.get(name)


def with_split_file():
    return sorted(name for name in REPLICAS if reader(name).split_file)


@pytest.fixture(params=sorted(REPLICAS))
def name(request):
    return request.param


@pytest.fixture
def replica(name, tmp_path):
    return REPLICAS[name](tmp_path / "root")


def rows(dataset):
    """``[path below the image folder, label, class name]`` of the three lists."""
    return [
        [[Path(i.impath).relative_to(dataset.image_dir).as_posix(), i.label, i.classname] for i in part]
        for part in (dataset.train_x, dataset.val or [], dataset.test)
    ]


def by_class(items):
    groups = {}
    for item in items:
        groups.setdefault(item[1], []).append(item)
    return groups.values()


def published_split(replica):
    """The published rule once more, without the readers' code."""
    named = [[path, label, replica.classnames[label], part] for path, label, part in replica.rows]
    train, val, test = ([row[:3] for row in named if row[3] == part] for part in PARTS)
    rng = random.Random(1)
    if replica.rule == OFFICIAL:
        return [train, val, test]
    if replica.rule == TEST_ONLY:
        return [test, [], test]
    if replica.rule == TRAIN_TEST:
        return [train, test, test]
    if replica.rule == PER_CLASS:
        train, val, test = [], [], []
        for group in by_class([row[:3] for row in named]):
            rng.shuffle(group)
            a, b = round(0.5 * len(group)), round(0.5 * len(group)) + round(0.2 * len(group))
            train, val, test = train + group[:a], val + group[a:b], test + group[b:]
        return [train, val, test]
    kept, held = [], []
    for group in by_class(train):
        rng.shuffle(group)  # the same permutation as that of shuffled indices
        n = round(0.2 * len(group))
        kept, held = kept + group[n:], held + group[:n]
    return [kept, held, test]


def test_every_benchmark_has_a_replica_and_a_config_file():
    ours = {
        n
        for n in DATASET_REGISTRY.registered_names()
        if reader(n).__module__.startswith("datasets.")
        and issubclass(reader(n), BenchmarkDataset)
        and not issubclass(reader(n), GeneratedDataset)
        and reader(n).hint  # a published release, not the user's own pictures
    }
    assert ours == set(REPLICAS)
    configs = "".join(path.read_text() for path in (ROOT / "configs" / "datasets").glob("*.yaml"))
    assert all(f'NAME: "{n}"' in configs for n in ours)


def test_the_raw_release_is_split_by_the_published_rule(name, replica, build):
    dataset = build(name=name)
    assert dataset.classnames == replica.classnames
    assert rows(dataset) == published_split(replica)


def test_base_and_new_halves(name, replica, build):
    base, new = build(name=name, classes="base"), build(name=name, classes="new")
    middle = (len(replica.classnames) + 1) // 2
    assert (base.classnames, new.classnames) == (replica.classnames[:middle], replica.classnames[middle:])
    for half in (base, new):
        assert {item.classname for item in half.test} == set(half.classnames)
        assert all(half.classnames[item.label] == item.classname for item in half.test)


@pytest.mark.parametrize("shots", [1, 2])
def test_few_shot_lists_are_drawn_by_the_rule_and_kept(name, replica, build, shots):
    full = build(name=name)
    first = build(name=name, shots=shots, seed=3)
    assert rows(build(name=name, shots=shots, seed=3)) == rows(first)  # read from the kept selection
    if replica.rule in (TEST_ONLY, TRAIN_TEST):
        return
    random.seed(3)
    expected = [
        [row for group in by_class(part) for row in random.sample(group, min(n, len(group)))]
        for part, n in zip(rows(full)[:2], (shots, min(shots, 4)), strict=True)
    ]
    assert rows(first)[:2] == expected
    assert rows(first)[2] == rows(full)[2]


def test_a_dataset_may_move(name, replica, build, tmp_path):
    first = rows(build(name=name, shots=1))
    (tmp_path / "root").rename(tmp_path / "moved")
    assert rows(build(name=name, shots=1, root=tmp_path / "moved")) == first


@pytest.mark.parametrize("name", with_split_file())
def test_the_written_split_file_is_used_and_gives_the_same(name, replica, build):
    first = rows(build(name=name))
    folder, cls = build(name=name).dataset_dir, reader(name)
    path = Path(folder, cls.split_file)
    assert [json.loads(path.read_text())[part] for part in PARTS] == first
    for file in [*Path(folder).rglob("*.txt"), *Path(folder).rglob("*.mat")]:
        file.unlink()  # the annotations are needed no more
    assert rows(build(name=name)) == first


@pytest.mark.parametrize("name", with_split_file())
def test_a_released_split_file_is_preferred(name, replica, build, tmp_path):
    cls = reader(name)
    released = write_split(tmp_path / "root" / cls.dataset_dir / cls.split_file, replica)
    dataset = build(name=name)
    assert rows(dataset) == [released[part] for part in PARTS]
    assert dataset.classnames == replica.classnames


def test_the_prompt_is_written_once(name):
    """The table for upstream's readers says what ours say."""
    assert templates.BY_DATASET.get(name, templates.DEFAULT) == reader(name).template


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def no_labels(folder):
    from scipy.io import savemat

    savemat(folder / "imagelabels.mat", {"other": [1]})


def empty_class(folder):
    for file in (folder / "Forest").iterdir():
        file.unlink()


def no_test_labels(folder):
    """The devkit's list of test images without classes, under the name of the labelled one."""
    from scipy.io import loadmat, savemat

    path = folder / "cars_test_annos_withlabels.mat"
    records = loadmat(path)["annotations"]
    unlabelled = records[["bbox_x1", "fname"]].astype([("bbox_x1", object), ("fname", object)])
    savemat(path, {"annotations": unlabelled})


def odd(folder, field, value):
    """The third record of the training list gets a field of another shape or kind."""
    from scipy.io import loadmat, savemat

    path = folder / "devkit" / "cars_train_annos.mat"
    records = loadmat(path)["annotations"]
    records[field][0, 2] = value
    savemat(path, {"annotations": records})


def odd_model(folder):
    import numpy as np
    from scipy.io import savemat

    names = np.empty((1, 4), dtype=object)
    names[0, :] = ["A 2000", 7, "C 2000", "D 2000"]
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})


def half_label(folder):
    from scipy.io import loadmat, savemat

    labels = loadmat(folder / "imagelabels.mat")["labels"].astype(float)
    labels[0, 4] = 1.5
    savemat(folder / "imagelabels.mat", {"labels": labels})


def too_small(folder):
    for file in sorted(folder.glob("accordion/image*.jpg"))[2:]:
        file.unlink()


def nest(folder):
    (folder / "cars_train").rename(folder / "inner")
    (folder / "cars_train").mkdir()
    (folder / "inner").rename(folder / "cars_train" / "cars_train")


BROKEN = {
    "mat missing": ("OxfordFlowers", lambda f: (f / "imagelabels.mat").unlink(), ["imagelabels.mat does not exist"]),
    "mat without key": ("OxfordFlowers", lambda f: no_labels(f), ["no variable 'labels', it holds: other"]),
    "no mat": ("OxfordFlowers", lambda f: (f / "imagelabels.mat").write_text("x"), ["cannot be read as a .mat file"]),
    "no name": ("OxfordFlowers", lambda f: edit(f / "cat_to_name.json", '"2"', '"9"'), ["label 2", "does not name"]),
    "bad json": ("OxfordFlowers", lambda f: (f / "cat_to_name.json").write_text("{"), ["is not JSON"]),
    "list": ("FGVCAircraft", lambda f: edit(f / "images_variant_val.txt", "F/A-18", "F-18"), ["'F-18' is not one of"]),
    "scene": ("SUN397", lambda f: edit(f / "ClassName.txt", "/b/bakery/shop", "/b/bar"), ["shop' is not one"]),
    "action": ("UCF101", lambda f: edit(f / "ucfTrainTestlist/classInd.txt", "YoYo", "Yo"), ["'YoYo' is not one of"]),
    "image": ("SUN397", lambda f: (f / "SUN397/a/abbey/sun_test000003.jpg").unlink(), ["sun_test000003.jpg", "mirror"]),
    "empty class": ("EuroSAT", lambda f: empty_class(f / "2750"), ["Forest holds no images"]),
    "too small": ("Caltech101", lambda f: too_small(f / "101_ObjectCategories"), ["Class accordion has 2 images"]),
    "unlabelled": ("StanfordCars", no_test_labels, ["withlabels.mat: 'annotations' lacks", "mirror"]),
    "odd field": ("StanfordCars", lambda f: odd(f, "class", [[1, 2]]), ["class of record 3 is", "whole number"]),
    "no number": ("StanfordCars", lambda f: odd(f, "class", "two"), ["annos.mat: class of record 3 is", "'two'"]),
    "class 0": ("StanfordCars", lambda f: odd(f, "class", 0), ["00003.jpg the class 0", "has classes 1 to 4"]),
    "class 5": ("StanfordCars", lambda f: odd(f, "class", 5), ["00003.jpg the class 5", "has classes 1 to 4"]),
    "nan": ("StanfordCars", lambda f: odd(f, "class", float("nan")), ["class of record 3 is", "nan"]),
    "odd name": ("StanfordCars", lambda f: odd(f, "fname", []), ["annos.mat: fname of record 3 is", "not one text"]),
    "name a number": ("StanfordCars", lambda f: odd(f, "fname", 3), ["annos.mat: fname of record 3 is"]),
    "odd model": ("StanfordCars", odd_model, ["cars_meta.mat: class_names 2 is", "not one text"]),
    "half a label": ("OxfordFlowers", half_label, ["imagelabels.mat: label 5 is", "1.5", "not one whole number"]),
    "out of aircraft": ("FGVCAircraft", lambda f: edit(f / "images_variant_val.txt", "1000010", "../1000010"),
                        ["images_variant_val.txt, entry 1: the path ../1000010.jpg leads outside"]),
    "out of actions": ("UCF101", lambda f: edit(f / "ucfTrainTestlist/trainlist01.txt", "YoYo/v", "YoYo/../../v"),
                       ["trainlist01.txt, entry 31: the path Yo_Yo/../../v_YoYo_g08_c01.jpg leads outside"]),
    "absolute": ("FGVCAircraft", lambda f: edit(f / "images_variant_val.txt", "1000010", "/etc/1000010"),
                 ["entry 1: the path /etc/1000010.jpg leads outside"]),
    "variant twice": ("FGVCAircraft", lambda f: edit(f / "variants.txt", "A300B4", "707-320"),
                      ["variants.txt lists the class '707-320' twice (as number 1 and 2)"]),
    "scene twice": ("SUN397", lambda f: edit(f / "ClassName.txt", "/b/bakery/shop", "/a/abbey"),
                    ["ClassName.txt lists the class 'a/abbey' twice (as number 1 and 3)"]),
    "action twice": ("UCF101", lambda f: edit(f / "ucfTrainTestlist/classInd.txt", "YoYo", "TaiChi"),
                     ["classInd.txt lists the class 'TaiChi' twice (as number 3 and 4)"]),
    "number twice": ("UCF101", lambda f: edit(f / "ucfTrainTestlist/classInd.txt", "4 YoYo", "3 YoYo"),
                     ["classInd.txt gives the number 3 to two classes: 'TaiChi' and 'YoYo'"]),
    "flower twice": ("OxfordFlowers", lambda f: edit(f / "cat_to_name.json", "colt's foot", "pink primrose"),
                     ["gives the class name 'pink primrose' to labels 0 and 2"]),
    "nested": ("StanfordCars", nest, ["Move the images of", "cars_train/cars_train one folder up"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_release_is_one_clear_line(case, build, user_error, tmp_path):
    name, damage, parts = BROKEN[case]
    REPLICAS[name](tmp_path / "root")
    damage(tmp_path / "root" / reader(name).dataset_dir)
    user_error(build, *parts, name=name)


def test_nested_car_folders_are_named_with_a_split_file_too(build, user_error, tmp_path):
    folder = tmp_path / "root" / "stanford_cars"
    write_split(folder / "split_zhou_StanfordCars.json", REPLICAS["StanfordCars"](tmp_path / "root"))
    nest(folder)
    user_error(build, ".jpg", f"Move the images of {folder / 'cars_train' / 'cars_train'}", name="StanfordCars")


def test_an_untouched_outer_folder_beside_a_nested_copy_is_fine(build, tmp_path):
    replica = REPLICAS["StanfordCars"](tmp_path / "root")
    (tmp_path / "root" / "stanford_cars" / "cars_train" / "cars_train").mkdir()
    assert rows(build(name="StanfordCars")) == published_split(replica)


def test_upstreams_helper_of_class_folders(tmp_path):
    """Readers written for CoOp split class folders with it, and draw from the global generator."""
    from datasets.caltech101 import IGNORED, NEW_CNAMES
    from datasets.dtd import DescribableTextures as DTD

    for folder in ("Faces", "cup", "BACKGROUND_Google"):
        (tmp_path / folder).mkdir()
        for number in range(10):
            (tmp_path / folder / f"{number}.jpg").touch()
    random.seed(3)
    parts = DTD.read_and_split_data(str(tmp_path), ignored=IGNORED, new_cnames=NEW_CNAMES)
    assert [len(part) for part in parts] == [10, 4, 6]
    assert {(item.label, item.classname) for item in parts[0]} == {(0, "face"), (1, "cup")}
    random.seed(3)
    images = [f"{number}.jpg" for number in range(10)]
    random.shuffle(images)
    assert [Path(item.impath).name for item in parts[0] if item.label == 0] == images[:5]
    assert [len(part) for part in DTD.read_and_split_data(str(tmp_path), p_trn=0.6, p_val=0.1)] == [18, 3, 9]


def test_upstreams_helper_of_imagenets_names(tmp_path):
    from datasets.imagenet import ImageNet

    (tmp_path / "classnames.txt").write_text("n01443537 goldfish\nn01440764 tench fish\n")
    names = ImageNet.read_classnames(str(tmp_path / "classnames.txt"))
    assert list(names.items()) == [("n01443537", "goldfish"), ("n01440764", "tench fish")]
