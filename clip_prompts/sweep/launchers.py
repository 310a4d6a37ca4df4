"""The launchers by name."""

from pathlib import Path

from clip_prompts.common.errors import unknown

from .launcher import Launcher

NAMES = ("local", "ray", "slurm")


def launcher(name: str, output: Path, workers: int) -> Launcher:
    """Make a launcher by its name; modules are imported only when asked for.

    Raises:
        UserError: unknown name, or a launcher that cannot work here.
    """
    if name == "local":
        from .local import LocalLauncher

        return LocalLauncher(output, workers)
    if name == "ray":
        from .ray import RayLauncher

        return RayLauncher(output, workers)
    if name == "slurm":
        from .slurm import SlurmLauncher

        return SlurmLauncher(output, workers)
    raise unknown("launcher", name, NAMES)
