"""The printed state of datasets."""

from collections.abc import Sequence

from tabulate import tabulate

from clip_prompts.common.text import one_line

from .catalogue import CATALOGUE
from .state import State

HEAD = ["dataset", "state", "train", "val", "test", "classes", "unreadable", "split", "sha256"]
MOST = 10  # lines of one dataset


def print_states(states: Sequence[State], deep: bool = False) -> None:
    """Print a row per state, numbers next to the published ones; then missing files and notes.

    ``deep``: images were opened.
    """
    rows = []
    for state in states:
        facts = CATALOGUE.get(state.name, {})
        known = facts.get("counts", [None] * 3)
        counts = [f"{n}/{'-' if k is None else k}" for n, k in zip(state.counts or ["-"] * 3, known, strict=True)]
        classes = f"{state.classes or '-'}/{facts.get('classes', '-')}"
        unreadable = len(state.unreadable) if deep and state.counts else "-"
        last = [classes, unreadable, state.split or "-", state.sha256[:12] or "-"]
        rows.append([state.name, state.status, *counts, *last])
    print(tabulate(rows, headers=HEAD, tablefmt="github", disable_numparse=True))
    for state in states:
        for line in state.missing[:MOST]:
            print(one_line(f"{state.name}: {line}"))
        if len(state.missing) > MOST:
            print(f"{state.name}: and {len(state.missing) - MOST} more")
        for line in state.notes:
            print(one_line(f"{state.name}: note: {line}"))
