"""The measurement of loading, at a small size and in this process."""

import pytest

from measuring import loading

pytestmark = pytest.mark.slow


@pytest.fixture
def in_this_process(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "load_apart", loading.load)


def test_both_sizes_are_made_loaded_twice_and_reported(in_this_process, capsys, tmp_path, monkeypatch):
    small = {"entries": 397 * 10 + 3, "train": 3005, "val": 1000}
    work = tmp_path / "work"
    work.mkdir()
    argv = ["--entries", str(small["entries"]), "--train", str(small["train"]), "--shots", "2", "--dir", str(work)]
    assert loading.main(argv) == 0
    out, err = capsys.readouterr()
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in out.splitlines() if line.startswith("| ")}
    assert rows["SUN397"][0].strip() == "3,973" and rows["ImageNet"][0].strip() == "4,005"
    assert all(float(cell.replace(",", "")) > 0 for name in ("SUN397", "ImageNet") for cell in rows[name])
    assert err.count("Few-shot selection saved to") == err.count("Few-shot selection read from") == 2
    assert not list(work.iterdir())


def test_a_load_in_a_process_of_its_own(tmp_path):
    loading.make_sun(tmp_path, 397 * 10)
    record = loading.load_apart("SUN397", str(tmp_path), 1)
    assert record["seconds"] > 0 and record["megabytes"] > 0


@pytest.mark.parametrize(
    "argv", [["--entries", "5"], ["--train", "10"], ["--shots", "0"], ["--dir", "/no/such/folder"]]
)
def test_bad_numbers_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        loading.main(argv)
    assert caught.value.code == 2
    assert f"{argv[0]} {argv[1]} is" in capsys.readouterr().err


def test_the_benchmark_program_has_it(capsys):
    from tools import benchmark

    with pytest.raises(SystemExit) as caught:
        benchmark.main(["--loading", "--help"])
    assert caught.value.code == 0
    assert "benchmark.py --loading" in capsys.readouterr().out
