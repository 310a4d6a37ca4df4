"""A trainer with everything but the training step: data, model, evaluation, saving, reporting."""

import contextlib
import datetime
import os
import shutil
import time

import torch
from tqdm import tqdm

from dassl.data import DataManager
from dassl.data.checks import is_test_only, validates_on_test
from dassl.evaluation import build_evaluator
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import ConfigError, count_num_param, load_pretrained_weights, mkdir_if_missing
from dassl.utils.atomic import atomic_path

from .base import TrainerBase
from .faults import user_errors
from .mid_epoch_saver import MidEpochSaver
from .saved_models import BEST_MODEL, restore_newest
from .simple_net import SimpleNet

# The model that a best_val run resumes from when neither the best nor a periodic model is the newest.
LATEST_MODEL = "model-latest.pth.tar"


class SimpleTrainer(TrainerBase):
    """Builds data, model and evaluator from a config, tests, saves and resumes.

    The constructor calls ``check_cfg``, ``build_data_loader`` and ``build_model``, in this order.

    Args:
        cfg: the config tree.

    Attributes:
        cfg, device, output_dir, start_epoch, epoch, max_epoch: settings of the run.
        dm (DataManager): data; also train_loader_x, train_loader_u, val_loader, test_loader,
            num_classes, num_source_domains, lab2cname.
        model, optim, sched: what the stock ``build_model`` makes.
        evaluator: collects predictions.
        best_result (float): best result on validation data so far.
        shows_progress (bool): whether ``test`` draws a progress bar on stderr.
    """

    shows_progress = True

    def __init__(self, cfg):
        super().__init__()
        self.check_cfg(cfg)
        if cfg.TEST.FINAL_MODEL not in ("last_step", "best_val"):
            raise ConfigError(f"TEST.FINAL_MODEL must be last_step or best_val, but got '{cfg.TEST.FINAL_MODEL}'.")
        use_cuda = torch.cuda.is_available() and cfg.USE_CUDA
        self.device = torch.device("cuda" if use_cuda else "cpu")
        self.start_epoch = self.epoch = 0
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self.cfg = cfg
        self._mid_epoch = MidEpochSaver(self)
        self._steps = self._mid_epoch.steps
        self.observers.append(self._mid_epoch)
        self.build_data_loader()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=getattr(self, "lab2cname", None))
        self.best_result = -float("inf")

    def check_cfg(self, cfg):
        """Check settings that the subclass depends on; ``self.cfg`` does not exist yet."""

    def build_data_loader(self):
        """Set ``dm`` and the attributes for data. An override must set all but ``dm``."""
        self.use_data(DataManager(self.cfg))

    def use_data(self, dm):
        """Train and test on the loaders of a DataManager: set ``dm`` and the attributes for data."""
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname
        self.dm = dm

    def build_model(self):
        """Build a :class:`SimpleNet` with its optimiser and scheduler, and register it as ``model``."""
        cfg = self.cfg
        print("Building model")
        self.model = SimpleNet(cfg, cfg.MODEL, self.num_classes)
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        print(f"# params: {count_num_param(self.model):,}")
        self.optim = build_optimizer(self.model, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("model", self.model, self.optim, self.sched)

    # The run

    def train(self):
        """Run all epochs. The first Ctrl-C or SIGTERM saves after the running batch, and ends the program.

        Raises:
            ConfigError: there are only test images to train on, or the best epoch is wanted without validation images
                that are not tested.
            UserError: (NonFiniteLossError, ImageReadError, LoaderWorkerError, OutputError, ...) the line says what is
                saved.
        """
        self._check_lists()
        with self._mid_epoch.running():
            super().train(self.start_epoch, self.max_epoch)

    def _run_epoch_with_hooks(self):
        with self._mid_epoch.epoch():
            super()._run_epoch_with_hooks()

    def save_model(self, epoch, directory, is_best=False, val_result=None, model_name=""):
        super().save_model(epoch, directory, is_best, val_result, model_name)
        if directory == self.output_dir:
            self._mid_epoch.saved_epoch = epoch + 1

    def resume_model_if_exist(self, directory):
        point = restore_newest(self, directory)
        if point is not None:
            self._mid_epoch.resume_at(point)
        return 0 if point is None else point.epoch

    def before_train(self):
        """Resume from RESUME, or from a used OUTPUT_DIR; open TensorBoard; start the clock."""
        directory = self.cfg.RESUME or self.output_dir
        self.start_epoch = self.resume_model_if_exist(directory)
        if self.start_epoch > 0:
            self._adopt_best_model(directory)
            self._save_what_was_due(directory)
        log_dir = os.path.join(self.output_dir, "tensorboard")
        if self.writes_tensorboard:
            mkdir_if_missing(log_dir)
        self.init_writer(log_dir)
        self.time_start = time.time()

    def _check_lists(self):
        """Refuse to select the best epoch on test images, and to train on them."""
        if self.cfg.TEST.FINAL_MODEL == "best_val" and self.val_loader is None:
            raise ConfigError(
                f"TEST.FINAL_MODEL is best_val, but {self.cfg.DATASET.NAME} has no validation images. "
                "Add some, or set it to last_step."
            )
        dataset = getattr(getattr(self, "dm", None), "dataset", None)
        if dataset is None:
            return
        if self.cfg.TEST.FINAL_MODEL == "best_val" and validates_on_test(dataset):
            raise ConfigError(
                f"TEST.FINAL_MODEL is best_val, but the validation images of {self.cfg.DATASET.NAME} are its test "
                "images. Set it to last_step."
            )
        if is_test_only(dataset):
            raise ConfigError(
                f"{self.cfg.DATASET.NAME} has only test images here, so there is nothing to train on. "
                "Evaluate a learned model on it: --eval-only --model-dir FOLDER"
            )

    def _adopt_best_model(self, directory):
        """Copy the best model of a run that is continued in another folder: it may stay the best."""
        for name in self.get_model_names():
            source = os.path.join(directory, name, BEST_MODEL)
            target = os.path.join(self.output_dir, name, BEST_MODEL)
            if os.path.exists(source) and not os.path.exists(target):
                mkdir_if_missing(os.path.dirname(target))
                with atomic_path(target) as temporary:
                    shutil.copyfile(source, temporary)

    def _save_what_was_due(self, directory):
        """Write the periodic checkpoint of a run that was killed after it had saved its best model."""
        name = f"model.pth.tar-{self.start_epoch}"
        folders = [os.path.join(self.output_dir, model) for model in self.get_model_names()]
        are_there = all(os.path.exists(os.path.join(folder, name)) for folder in folders)
        is_due = self._is_save_due(self.start_epoch) and not self._mid_epoch.is_under_way
        if directory == self.output_dir and is_due and not are_there:
            self.save_model(self.start_epoch - 1, self.output_dir)

    def _is_save_due(self, epochs_done):
        freq = self.cfg.TRAIN.CHECKPOINT_FREQ
        return epochs_done == self.max_epoch or (freq > 0 and epochs_done % freq == 0)

    def after_epoch(self):
        """Test on validation data if the best model is wanted, and save what is due."""
        cfg = self.cfg
        epochs_done = self.epoch + 1
        best_is_wanted = not cfg.TEST.NO_TEST and cfg.TEST.FINAL_MODEL == "best_val"
        is_due = is_saved = self._is_save_due(epochs_done)

        if best_is_wanted:
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name=BEST_MODEL)
                is_saved = True
        if is_due:
            self.save_model(self.epoch, self.output_dir)
        if best_is_wanted:
            if is_saved:
                for name in self.get_model_names():
                    with contextlib.suppress(FileNotFoundError):
                        os.remove(os.path.join(self.output_dir, name, LATEST_MODEL))
            else:
                # Otherwise an interrupted run would go on from its best epoch, not from its last.
                self.save_model(self.epoch, self.output_dir, model_name=LATEST_MODEL)

    def after_train(self):
        """Test the model that the run is about, and report the time."""
        print("Finish training")
        if not self.cfg.TEST.NO_TEST:
            if self.cfg.TEST.FINAL_MODEL == "best_val":
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        elapsed = datetime.timedelta(seconds=round(time.time() - self.time_start))
        print(f"Elapsed: {elapsed}")
        self.close_writer()

    # Testing

    @torch.no_grad()
    def test(self, split=None):
        """Evaluate on ``val`` or ``test`` (None: TEST.SPLIT).

        Without validation images, ``test(split="val")`` evaluates on ``test``, as upstream's does.

        Returns:
            float: the first result of the evaluator, for Classification the accuracy in percent.

        Raises:
            ConfigError: another split, or TEST.SPLIT is val and there are no validation images.
            UserError: (ImageReadError, LoaderWorkerError, ...) the images cannot be loaded.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        asked, split = split, split or self.cfg.TEST.SPLIT
        if split not in ("val", "test"):
            raise ConfigError(f"TEST.SPLIT must be val or test, but got '{split}'.")
        if split == "val" and self.val_loader is None:
            if asked is None:
                raise ConfigError(f"TEST.SPLIT is val, but {self.cfg.DATASET.NAME} has no validation images.")
            split = "test"
        print(f"Evaluate on the *{split}* set")
        for observer in self.observers:
            observer.test_begins(self, asked)
        loader = self.val_loader if split == "val" else self.test_loader
        with user_errors():
            for batch in tqdm(loader, disable=not self.shows_progress):
                images, labels = self.parse_batch_test(batch)
                output = self.model_inference(images)
                self.evaluator.process(output, labels)
                for observer in self.observers:
                    observer.batch_tested(self, batch, output, labels)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        for observer in self.observers:
            observer.test_ends(self, split, results)
        return next(iter(results.values()))

    def model_inference(self, input):
        """Images (B, 3, H, W) -> logits (B, C)."""
        return self.model(input)

    def parse_batch_test(self, batch):
        """Return images (B, 3, H, W) and labels (B,) on the device."""
        return self._to_device(batch["img"]), self._to_device(batch["label"])

    def _to_device(self, tensor):
        if isinstance(tensor, list):  # the views of each image
            raise ConfigError(
                f"{type(self).__name__} takes one view of an image, but DATALOADER.K_TRANSFORMS is {len(tensor)}. "
                "Set DATALOADER.K_TRANSFORMS 1."
            )
        # The loaders pin memory for CUDA, so the copy can overlap with computation.
        return tensor.to(self.device, non_blocking=True)
