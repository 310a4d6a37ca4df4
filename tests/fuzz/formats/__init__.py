"""The formats, by name."""

from . import lists, prompts, records, selections, settings, weights
from .base import Format

FORMATS: dict[str, Format] = {
    form.name: form for part in (weights, selections, lists, records, settings, prompts) for form in part.FORMATS
}
