"""Learn prompts for CLIP, or evaluate learned ones: ``python train.py --help``."""

import atexit
import contextlib
import gc
import sys

gc.disable()  # the imports below make millions of objects that stay; collecting among them costs a third of the start

import torch  # noqa: E402
from dassl.engine import build_trainer  # noqa: E402
from dassl.utils import collect_env_info, set_random_seed, setup_logger  # noqa: E402

import datasets  # noqa: E402, F401  (registers the readers)
import trainers  # noqa: E402, F401  (registers the methods)
from launch import arguments  # noqa: E402
from launch.checks import check_names  # noqa: E402
from launch.config import build_config, import_plugin  # noqa: E402
from launch.errors import mendable  # noqa: E402
from launch.protocols import check_label  # noqa: E402
from launch.records import record_evaluations  # noqa: E402

gc.freeze()
atexit.register(gc.unfreeze)  # what stays frozen at the exit counts as leaked for extension modules, and they say so
gc.enable()


def run(args) -> None:
    """Build the config, then the trainer, then train or evaluate."""
    for name in args.plugin:
        import_plugin(name)
    cfg = build_config(args)
    check_names(cfg)
    check_label(args.protocol)
    if cfg.SEED >= 0:
        print(f"Setting fixed seed: {cfg.SEED}")
        set_random_seed(cfg.SEED)
    setup_logger(cfg.OUTPUT_DIR)
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    print("** Arguments **", *(f"{key}: {value}" for key, value in sorted(vars(args).items())), sep="\n")
    print(f"** Config **\n{cfg}\n** Environment **\n{collect_env_info()}\n")

    trainer = build_trainer(cfg)
    loaded = {"model_dir": args.model_dir, "load_epoch": args.load_epoch} if args.eval_only else None
    record_evaluations(trainer, cfg, loaded, args.protocol, args.config_file)
    if args.eval_only:
        trainer.load_model(args.model_dir, epoch=args.load_epoch)
        trainer.test()
    elif not args.no_train:
        trainer.train()


def main(argv: list[str] | None = None) -> int:
    """Run; an error that the user can mend is one line on stderr and exit status 2.

    A signal ends the run with 128 + its number: 130 after Ctrl-C, 143 after SIGTERM.
    """
    console = sys.stdout
    try:
        run(arguments.parse(argv))
    except Exception as error:
        if (line := mendable(error)) is None:
            raise
        print(f"Error: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C at once. The same command goes on from what was saved last", file=sys.stderr)
        return 130
    finally:
        with contextlib.suppress(OSError):  # a full disk, which the line above may be about
            sys.stdout.flush()
        sys.stdout = console  # the logger took its place
    return 0


if __name__ == "__main__":
    sys.exit(main())
