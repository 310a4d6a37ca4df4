"""Users' own datasets are distinguished by their labels, and a conflict in a report removes only its own cells."""

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from clip_prompts.common.errors import UserError
from clip_prompts.sweep import plan
from clip_prompts.sweep.request import Request
from tests.tools.records import record, sha, write
from tools import report, sweep

pytestmark = pytest.mark.integration


def own(label, accuracy, **more):
    """A record of own pictures in a folder of this name."""
    return record(accuracy, dataset="ImageFolder", label=label, **more)


def hashes(test):
    return {"config": sha(1), "backbone": sha("ViT-B/16"), "train_x": sha(2), "val": None, "test": sha(test)}


def test_two_own_folders_stand_in_one_report(tmp_path, capsys):
    for label, accuracy in (("birds", 61.5), ("cars", 42.25)):
        for classes in ("base", "new"):
            more = {"protocol": "base2new", "classes": classes, "hashes": hashes([label, classes])}
            source = {"dataset": "ImageFolder", "label": label, "classes": "base"} if classes == "new" else None
            write(tmp_path / label / classes, own(label, accuracy, source=source, **more))
    assert report.main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "birds" in out and "61.50" in out and "cars" in out and "42.25" in out and "ImageFolder" not in out
    assert "average" in out.lower() and not err


def test_the_source_of_a_transfer_has_its_label(tmp_path, capsys):
    write(tmp_path / "birds", own("birds", 70.0))
    source = {"dataset": "ImageFolder", "label": "birds", "classes": "all", "shots": 16}
    write(tmp_path / "cars", own("cars", 50.0, protocol="cross_dataset", source=source, hashes=hashes("cars")))
    assert report.main([str(tmp_path), "--protocol", "cross_dataset"]) == 0
    out = capsys.readouterr().out
    assert "from birds" in out and "70.00" in out and "cars" in out and "50.00" in out


CONFLICTS = {
    "other images": {"seed": 2, "hashes": hashes("others")},
    "the same seed twice": {"accuracy": 12.5},
    "other weights": {"seed": 2, "hashes": hashes("birds") | {"backbone": sha("other")}},
}


@pytest.mark.parametrize("name", CONFLICTS)
@pytest.mark.parametrize("protocol", ["few_shot", "base2new", "zeroshot"])
def test_a_conflict_leaves_out_its_cell_and_names_it(name, protocol, tmp_path, capsys):
    second = {"accuracy": 99.5, "seed": 1, "hashes": hashes("birds")} | CONFLICTS[name]
    more = {"protocol": protocol, "classes": "base" if protocol == "base2new" else "all"}
    write(tmp_path / "a", own("birds", 60.25, hashes=hashes("birds"), **more))
    write(tmp_path / "b", own("birds", second.pop("accuracy"), **second, **more))
    write(tmp_path / "c", own("cars", 42.25, hashes=hashes("cars"), **more))
    assert report.main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "42.25" in out and "60.25" not in out and "99.50" not in out and "12.50" not in out
    assert "CoOp on birds" in out and "left out, because its runs conflict" in out
    (line,) = err.splitlines()
    assert line.startswith("Left out: ") and "CoOp on birds" in line
    assert str(tmp_path / "a") in line and str(tmp_path / "b") in line


def test_a_report_of_nothing_but_a_conflict_is_an_error(tmp_path, capsys):
    write(tmp_path / "a", own("birds", 60.0, hashes=hashes("one")))
    write(tmp_path / "b", own("birds", 61.0, hashes=hashes("two")))
    assert report.main([str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("Error: ") and "DATASET.LABEL" in err and err.count("\n") == 1


@pytest.mark.parametrize("protocol", ["few_shot", "base2new", "zeroshot", "ablation"])
def test_two_roots_are_two_sets_of_runs(protocol, tmp_path):
    jobs = [
        plan.plan([Request(protocol, ["CoOp" if protocol != "zeroshot" else "ZeroshotCLIP"], ["image_folder"], "tiny",
                           root=str(tmp_path / root))])
        for root in ("birds", "cars", "image_folder")
    ]  # fmt: skip
    folders = [{job.folder for job in of_one} for of_one in jobs]
    assert not folders[0] & folders[1] and not folders[1] & folders[2]
    assert all("image_folder-birds" in folder.split("/") for folder in folders[0])
    assert all("image_folder" in folder.split("/") for folder in folders[2])


def test_a_label_names_folders_of_any_dataset(tmp_path):
    settings = ["DATASET.LABEL", "my birds/2", "OPTIM.LR", "0.1"]
    (job,) = plan.plan([Request("few_shot", ["CoOp"], ["digits"], "tiny", [1], [1], settings=settings)])
    assert job.folder == "digits-my_birds_2/CoOp/tiny_1shots/LR-0.1/seed1" and job.dataset == "digits-my_birds_2"


@pytest.mark.parametrize("protocol, datasets", [("few_shot", ["digits", "shapes"]), ("cross_dataset", ["digits"])])
def test_one_label_for_several_datasets_is_refused(protocol, datasets):
    with pytest.raises(UserError, match="DATASET.LABEL would give several datasets one name"):
        Request(protocol, ["CoOp"], datasets, "tiny", settings=["DATASET.LABEL", "birds"])


def digits(folder, **classes):
    """Twenty handwritten digits of scikit-learn per class."""
    data = load_digits()
    for name, digit in classes.items():
        (folder / name).mkdir(parents=True)
        for i, pixels in enumerate(data.images[data.target == digit][:20]):
            Image.fromarray((pixels * 15).astype("uint8")).resize((32, 32)).convert("RGB").save(
                folder / name / f"{i:02d}.png"
            )


def test_two_folders_in_one_output_have_their_own_numbers(tmp_path, capfd):
    digits(tmp_path / "A", zero=0, one=1)
    digits(tmp_path / "B", seven=7, nine=9)
    for name, accuracy in (("A", "100.00"), ("B", "66.67")):
        argv = ["ZeroshotCLIP", "image_folder", "tiny", "--root", str(tmp_path / name), "--output", str(tmp_path / "o")]
        assert sweep.main(["zeroshot", *argv]) == 0
        assert accuracy in capfd.readouterr().out
