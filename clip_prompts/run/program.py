"""The program behind ``train.py``: builds a config, a trainer and the record of a run."""

import contextlib
import os
import signal
import sys
import threading

from clip_prompts.common.environment import require_packages
from clip_prompts.common.files import check_output_folder

from . import arguments


def run(args) -> None:
    """Build the config, then the trainer, then train or evaluate."""
    # Imported here, because --help and a wrong flag are answered before PyTorch is loaded.
    from clip_prompts.records.protocols import check_label
    from clip_prompts.records.trackers import open_tracker

    from .checks import check_config
    from .config import build_config, import_plugin
    from .used_folder import UsedFolder
    from .view import view_of

    for name in args.plugin:
        import_plugin(name)
    cfg = build_config(args)
    check_config(cfg)
    check_label(args.protocol)
    tracker = open_tracker(cfg.TRACKER)
    check_output_folder(cfg.OUTPUT_DIR)
    used = UsedFolder(cfg.OUTPUT_DIR, args.again, args.again_if_changed)
    if not (args.eval_only or args.no_train):
        used.check_settings(cfg)
    with view_of(args, cfg) as view:
        _run(args, cfg, used, view, tracker)


def _run(args, cfg, used, view, tracker) -> None:
    """Train or evaluate under a checked config.

    Args:
        used: guards the output folder. view: see ``view.py``. tracker: see ``records/trackers.py``.
    """
    import torch
    from dassl.utils import collect_env_info, set_random_seed, setup_logger

    from clip_prompts.artifact import FOLDER
    from clip_prompts.artifact.writing import write_prompt_of_run
    from clip_prompts.clip import CLIPTrainer
    from clip_prompts.records.facts import recipe, training_facts
    from clip_prompts.records.identity import identity_of
    from clip_prompts.records.loaded import check_resume, loaded_models
    from clip_prompts.records.sources import write_sources
    from clip_prompts.records.upstream import build_trainer
    from clip_prompts.records.writer import Recorder

    from .config import default_config, stated_settings
    from .effects import check_effects

    if cfg.SEED >= 0:
        print(f"Setting fixed seed: {cfg.SEED}")
        set_random_seed(cfg.SEED)
    setup_logger(cfg.OUTPUT_DIR)
    view.begins()
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    with view.hidden():
        given = ((key, value) for key, value in sorted(vars(args).items()) if key != "verbose")
        print("** Arguments **", *(f"{key}: {value}" for key, value in given), sep="\n")
        print(f"** Config **\n{cfg}\n** Environment **\n{collect_env_info()}\n")

    trainer = build_trainer(cfg)
    trains = bool(trainer.get_model_names()) and not args.eval_only
    view.built(trainer, trains)
    if args.no_train:
        return
    identity = identity_of(trainer, cfg, args.plugin, stated_settings(args), args.config_file)
    identity.facts |= training_facts(trainer, cfg, identity.determines, args.config_file, recipe(cfg, default_config()))
    loaded, weights = None, []
    if args.eval_only:
        loaded = {"model_dir": args.model_dir, "load_epoch": args.load_epoch}
        weights = loaded_models(trainer, args.model_dir, args.load_epoch, identity)
    check_effects(trainer, cfg, trains)
    if trains:
        check_resume(trainer, cfg.RESUME, identity, args.again)
        used.check_training(identity)
        trainer.identity = identity  # our engine saves it with every checkpoint and compares it when it resumes
    else:
        identity = identity.of_evaluation(weights)
    recorder = Recorder(trainer, cfg, identity, loaded, weights, args.protocol, args.config_file, tracker)
    if not trains:
        used.check_evaluation(recorder.plan())
    used.remove_left_over()
    read = [args.config_file, args.dataset_config_file, *identity.code_files]
    write_sources(cfg.OUTPUT_DIR, trainer, cfg, read, with_look=args.again_if_changed)
    if args.again_if_changed and used.is_done(identity, args.protocol):
        print(f"Done already: {cfg.OUTPUT_DIR} holds the result of this run")
        return
    if trains:
        identity.write(cfg.OUTPUT_DIR)
    view.runs(trainer, recorder.epochs)
    trainer.writes_tensorboard = cfg.TRACKER == "tensorboard"  # upstream's engine writes it in any case
    with tracker.following(cfg, identity):
        if args.eval_only:
            trainer.load_model(args.model_dir, epoch=args.load_epoch)
            trainer.test()
        else:
            trainer.train()
    if not args.eval_only and isinstance(trainer, CLIPTrainer):
        write_prompt_of_run(trainer, os.path.join(cfg.OUTPUT_DIR, FOLDER))


def main(argv: list[str] | None = None) -> int:
    """Run; an error that the user can fix is one line on stderr and exit status 2.

    A signal ends the run with 128 + its number: 130 after Ctrl-C, 143 after SIGTERM.
    """
    args = arguments.parse(argv)
    require_packages("train.py")
    console = sys.stdout
    try:
        with _ctrl_c_ends_at_once():
            from . import libraries  # noqa: F401  (registers datasets and methods)

        run(args)
    except Exception as error:
        from .errors import user_message

        if (line := user_message(error)) is None:
            raise
        print(f"Error: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C at once. The same command continues from what was saved last", file=sys.stderr)
        return 130
    finally:
        with contextlib.suppress(OSError):  # a full disk, which the line above may be about
            sys.stdout.flush()
        sys.stdout = console  # the logger took its place
    return 0


@contextlib.contextmanager
def _ctrl_c_ends_at_once():
    """Inside this block, Ctrl-C ends the process: an import that an exception interrupts leaves broken modules."""

    def end(*_) -> None:
        os.write(2, b"Stopped by Ctrl-C before the run began. The same command starts it\n")
        os._exit(130)

    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    listens = listens and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, end) if listens else None
    try:
        yield
    finally:
        if listens:
            signal.signal(signal.SIGINT, before)
