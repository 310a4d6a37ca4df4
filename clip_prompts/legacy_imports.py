"""Import paths of version 0.1, for plug-ins that still use them; removed in version 0.3."""

import importlib
import importlib.util
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Old module -> the modules that hold its names now.
MOVED = {
    "trainers.clip": ("clip_prompts.clip",),
    "trainers.clip.backbone": ("clip_prompts.backbones.loading",),
    "trainers.clip.base": ("clip_prompts.clip.trainer", "clip_prompts.clip.legacy"),
    "trainers.clip.blocks": ("clip_prompts.encoders.blocks",),
    "trainers.clip.features": ("clip_prompts.features.cache",),
    "trainers.clip.learned_weights": ("clip_prompts.clip.checkpoints",),
    "trainers.clip.memory": ("clip_prompts.encoders.memory",),
    "trainers.clip.model": ("clip_prompts.clip.model",),
    "trainers.clip.precision": ("clip_prompts.clip.precision",),
    "trainers.clip.prompt_set": ("clip_prompts.encoders.prompt_set",),
    "trainers.clip.prompts": ("clip_prompts.clip.learners", "clip_prompts.clip.tokens", "clip_prompts.clip.teacher"),
    "trainers.clip.templates": ("clip_prompts.clip.templates",),
    "trainers.clip.text_encoder": ("clip_prompts.encoders.text_encoder",),
    "trainers.imagenet_templates": ("clip_prompts.clip.legacy",),
}
# Old package -> new package with the same modules.
RENAMED = {
    "common": "clip_prompts.common",
    "datasets.core": "clip_prompts.data",
    "datasets.folders": "clip_prompts.data.folders",
    "datasets.rendering": "clip_prompts.data.rendering",
}


def new_places(name: str) -> tuple[str, ...]:
    """Return the modules that hold the names of an old module now; () if there is none."""
    for old, new in RENAMED.items():
        if name == old or name.startswith(f"{old}."):
            place = new + name.removeprefix(old)
            return (place,) if importlib.util.find_spec(place) else ()
    return MOVED.get(name, ())


class LegacyFinder(MetaPathFinder, Loader):
    """Finds old modules, after all other finders. Importing one warns, and hands out the names of the new modules."""

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if new_places(name) else None

    def exec_module(self, module: ModuleType) -> None:
        places = new_places(module.__name__)
        warnings.warn(
            f"{module.__name__} is now {' and '.join(places)}; the old name goes in version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        found = [importlib.import_module(place) for place in places]

        def find(name: str) -> object:
            for new in found:
                if not name.startswith("__") and hasattr(new, name):
                    return getattr(new, name)
            raise AttributeError(f"'{name}' of {module.__name__} is not in {' or '.join(places)}")

        public = sorted({name for new in found for name in vars(new) if not name.startswith("_")})
        vars(module).update(__getattr__=find, __all__=public)  # the names themselves are looked up on demand


def install() -> None:
    """Let old imports work in this process, and let their warnings be seen."""
    if not any(isinstance(finder, LegacyFinder) for finder in sys.meta_path):
        sys.meta_path.append(LegacyFinder())
        warnings.filterwarnings("default", r"\S+ is now clip_prompts", DeprecationWarning)
