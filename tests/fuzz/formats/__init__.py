"""The formats, by name."""

from . import lists, records, selections, settings, weights
from .base import Format

FORMATS: dict[str, Format] = {
    form.name: form for part in (weights, selections, lists, records, settings) for form in part.FORMATS
}
