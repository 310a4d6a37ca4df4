"""Bounds of a training step: the files that it enters, and no method assigned to an instance."""

import sys
from pathlib import Path
from types import FunctionType, MethodType

import pytest
from dassl.engine import TRAINER_REGISTRY, SimpleTrainer, TrainerBase, TrainerX

import datasets  # noqa: F401
import trainers  # noqa: F401
from clip_prompts.records.curve import EpochLog
from clip_prompts.records.upstream import Observer, build_trainer, observe
from clip_prompts.run import arguments
from clip_prompts.run.config import build_config
from tests.conftest import ROOT
from tests.engine.trainers import harness

FOLDERS = ("engine/dassl", "clip_prompts", "trainers", "datasets")
LOADING = ("engine/dassl/data/", "clip_prompts/features/")


class Steps:
    """Lists which of our files are entered inside of each step (``forward_backward``) and after it.

    ``loading``: the files that are entered to load batches, look-ahead encoding included. They are not in ``after``.
    """

    def __init__(self) -> None:
        self.inside: list[set] = []
        self.after: list[set] = []
        self.loading: set = set()
        self._step = self._loader = None  # the running frames

    def run(self, call) -> "Steps":
        before = sys.getprofile()
        sys.setprofile(self._watch)
        try:
            call()
        finally:
            sys.setprofile(before)
        return self

    def _watch(self, frame, event, arg) -> None:
        if event == "return":
            if frame is self._step:
                self._step = None
            if frame is self._loader:
                self._loader = None
        path = Path(frame.f_code.co_filename)
        if event != "call" or not path.is_relative_to(ROOT):
            return
        file = str(path.relative_to(ROOT))
        if frame.f_code.co_name == "forward_backward" and self._step is None:
            self._step = frame
            self.inside.append(set())
            self.after.append(set())
        if not self.inside or not file.startswith(FOLDERS):
            return
        if self._step is None and self._loader is None and file.startswith(LOADING):
            self._loader = frame
        if self._step is not None:
            self.inside[-1].add(file)
        elif self._loader is not None:
            self.loading.add(file)
        else:
            self.after[-1].add(file)


@pytest.fixture
def built(tmp_path):
    """``built(trainer, *settings)`` builds a trainer on the embedded digits."""

    def call(name, *settings):
        config = ROOT / f"configs/trainers/{name.removesuffix('2')}/tiny.yaml"
        args = arguments.parse([
            "--trainer", name, "--seed", "1", "--output-dir", str(tmp_path / name), "--config-file", str(config),
            "--dataset-config-file", str(ROOT / "configs/datasets/digits.yaml"),
            "DATASET.NUM_SHOTS", "2", "DATALOADER.NUM_WORKERS", "0", "OPTIM.MAX_EPOCH", "1", "TRAIN.PRINT_FREQ", "1",
            "FEATURES.DIR", str(tmp_path / "features"), *settings,
        ])  # fmt: skip
        return build_trainer(build_config(args))

    return call


def assigned(thing) -> list[str]:
    """Names of the functions among an object's own attributes."""
    return [name for name, value in vars(thing).items() if isinstance(value, (FunctionType, MethodType))]


def registered(package: str) -> list[str]:
    """Names of the trainers that a package registers."""
    names = TRAINER_REGISTRY.registered_names()
    return [name for name in names if TRAINER_REGISTRY.get(name).__module__.startswith(f"{package}.")]


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """``bundled(trainer)`` builds one of the engine's trainers, from a model of the source if it needs one."""
    folder = tmp_path_factory.mktemp("bundled")
    pictures = harness.write_patterns(folder / "patterns")
    harness.build(pictures, folder / "source", "SourceOnly").save_model(0, str(folder / "source"))
    weights = ("MODEL.INIT_WEIGHTS", str(folder / "source/model/model.pth.tar-1"))

    def call(name):
        return harness.build(pictures, folder / name, name, *(weights if name in ("ADDA", "AdaBN") else ()))

    return call


ZOO = [pytest.param(name, marks=pytest.mark.zoo) for name in registered("dassl")]


@pytest.mark.parametrize("name", [*registered("trainers"), *ZOO])
def test_no_method_is_assigned_to_an_instance(name, built, bundled, tmp_path):
    trainer = built(name) if name in registered("trainers") else bundled(name)
    observe(trainer, [EpochLog(trainer, str(tmp_path))], [Observer()])
    things = [trainer, trainer.evaluator, *trainer.observers]
    found = {type(thing).__name__: assigned(thing) for thing in things}
    print(f"{name}: {found}")
    assert len(things) == 5 and not any(found.values())


def test_a_trainer_of_dassl_has_three_ancestors():
    assert TrainerX.__mro__ == (TrainerX, SimpleTrainer, TrainerBase, object)


def test_a_method_has_four_layers_of_ours_and_object_above_it():
    above = TRAINER_REGISTRY.get("CoOp").__mro__[1:]
    print("above CoOp:", *(layer.__qualname__ for layer in above))
    assert [layer.__name__ for layer in above] == ["CLIPTrainer", "TrainerX", "SimpleTrainer", "TrainerBase", "object"]


@pytest.mark.integration
@pytest.mark.parametrize("name", ["CoOp", "CoCoOp"])
def test_a_step_enters_few_files(name, built, tmp_path):
    """At most 8 within ``forward_backward``, and 12 from one step to the next with loop, logging and records."""
    trainer = built(name, "DATALOADER.TRAIN_X.BATCH_SIZE", "4", "TEST.NO_TEST", "True")
    observe(trainer, [EpochLog(trainer, str(tmp_path))], [Observer()])
    steps = Steps().run(trainer.train)
    assert len(steps.after) > 3
    within = set().union(*steps.inside[1:-1])  # the first step checks gradients, the last one ends the epoch
    between = set().union(*steps.after[:-1])
    print(f"{name}: within a step", *sorted(within), sep="\n  ")
    print("between two steps", *sorted(between), "to load batches", *sorted(steps.loading), sep="\n  ")
    assert f"trainers/{name.lower()}.py" in within
    assert len(within) <= 8 and 2 <= len(between) <= 4 and len(within | between) <= 12


@pytest.mark.integration
def test_a_step_on_images_enters_few_files(built):
    """Without features that were encoded ahead, the image encoder is entered as well."""
    trainer = built("CoOp", "DATALOADER.TRAIN_X.BATCH_SIZE", "4")
    trainer.num_batches = 9
    batches = [*trainer.train_loader_x][:3]

    def train():
        for trainer.batch_idx, batch in enumerate(batches):
            trainer.forward_backward(batch)

    within = Steps().run(train).inside[-1]
    print("CoOp on images: within a step", *sorted(within), sep="\n  ")
    assert "clip_prompts/encoders/image_encoder.py" in within and len(within) <= 8


def test_the_tracer_sees_files_and_assigned_methods():
    class Trainer:
        observers = [Observer()]

        def forward_backward(self, batch):
            TRAINER_REGISTRY.registered_names()

        def train(self):
            for batch in range(2):
                self.forward_backward(batch)
                self.observers[0].step_ends(self, None)

    steps = Steps().run(Trainer().train)
    assert steps.inside == [{"engine/dassl/utils/registry.py"}] * 2
    assert steps.after == [{"engine/dassl/engine/observers.py"}] * 2
    observer = Observer()
    observer.run_begins = lambda trainer: None
    assert assigned(observer) == ["run_begins"]
