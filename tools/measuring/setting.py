"""A measurement's settings, which are the flags of the program. Imports nothing heavy."""

from dataclasses import asdict, dataclass

# Joint width D; image size, layers, width and patch; text width d, heads and layers.
SHAPES = {
    "tiny": (128, 32, 4, 128, 8, 128, 2, 3),
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 512, 8, 12),
    "RN101": (512, 224, (3, 4, 23, 3), 64, None, 512, 8, 12),
    "RN50x4": (640, 288, (4, 6, 10, 6), 80, None, 640, 10, 12),
    "RN50x16": (768, 384, (6, 8, 18, 8), 96, None, 768, 12, 12),
    "RN50x64": (1024, 448, (3, 15, 36, 10), 128, None, 1024, 16, 12),
    "ViT-B/32": (512, 224, 12, 768, 32, 512, 8, 12),
    "ViT-B/16": (512, 224, 12, 768, 16, 512, 8, 12),
    "ViT-L/14": (768, 224, 24, 1024, 14, 768, 12, 12),
    "ViT-L/14@336px": (768, 336, 24, 1024, 14, 768, 12, 12),
}


@dataclass(frozen=True)
class Setting:
    """Settings of a measurement. Every field is a flag of the program, except the last."""

    method: str = "CoCoOp"
    backbone: str = "ViT-B/16"
    classes: int = 50
    batch: int = 1
    n_ctx: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    memory_gb: float = 0.0
    plugin: str = ""
    opts: tuple[str, ...] = ()  # KEY VALUE pairs, as of train.py

    def flags(self) -> list[str]:
        """The command line that gives this setting, without ``opts``, which come last."""
        named = {key: value for key, value in asdict(self).items() if key != "opts" and value != ""}
        return [str(part) for key, value in named.items() for part in ("--" + key.replace("_", "-"), value)]
