"""The model card of a shared prompt: a README.md with the front matter that the Hugging Face Hub reads."""

from collections.abc import Mapping
from typing import Any

import yaml

from clip_prompts.common.text import markdown, one_line

_METRICS = {"accuracy": "accuracy", "macro_f1": "f1"}  # ours -> the Hub's
_TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "ece": "Calibration error (ECE)",
    "nll": "Negative log-likelihood",
}
_UNITS = {"accuracy": " %", "macro_f1": " %", "ece": " %"}


def model_card(config: Mapping[str, Any], learned: int) -> str:
    """Return the text of the card.

    Args:
        config: content of ``prompt_config.json``. learned: number of learned values.
    """
    method, base, training = config["method"], config["base_model"], config.get("training", {})
    data = training.get("label") or training.get("dataset") or "unknown data"
    names = config["classes"]["names"]
    shots = f", {training['shots']} shots" if training.get("shots", -1) and training.get("shots", -1) > 0 else ""
    listed = ", ".join(markdown(one_line(name, 100)) for name in names[:20])
    more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    lines = [
        f"# {markdown(method['name'])} on {markdown(str(data))}{shots}",
        f"A prompt for CLIP, learned by {markdown(method['name'])} with the backbone {markdown(base['name'])} (weights "
        f"SHA-256 `{base['sha256'][:12]}`): {learned:,} numbers next to a frozen CLIP, in the format clip-prompt "
        f"{config['format']['version']}. The files hold data only, no code.",
        "## Use it",
        '```python\nfrom clip_prompts import load_prompt\n\nprompt = load_prompt("this/folder")\n'
        'prompt.predict(["picture.jpg"], top=5)\n```',
        f"Classes ({len(names):,}): {listed}{more}. " + _about_classes(method),
        "## Results",
        _results(config.get("results", [])),
        "## Training",
        _training(training),
    ]
    return (
        f"---\n{yaml.safe_dump(_front_matter(config), sort_keys=False, allow_unicode=True)}---\n\n"
        + "\n\n".join(lines)
        + "\n"
    )


def _about_classes(method: Mapping[str, Any]) -> str:
    if method["classes"] == "fixed":
        return "It was learned for these classes and takes no others."
    return "Any other list of class names can be given instead."


def _results(results: list) -> str:
    rows = [
        f"| {_TITLES[r['metric']]} | {r['value']:.2f}{_UNITS.get(r['metric'], '')} | {r.get('n') or ''} |"
        for r in results
        if r.get("metric") in _TITLES and isinstance(r.get("value"), int | float)
    ]
    if not rows:
        return "None are stored."
    first = results[0]
    about = f"{first.get('protocol') or 'test'}, classes: {first.get('classes')}, model: {first.get('selection')}"
    return "\n".join(["| metric | value | images |", "|---|---|---|", *rows, "", markdown(one_line(about, 200))])


def _training(training: Mapping[str, Any]) -> str:
    shown = {
        "Dataset": training.get("dataset"), "Classes": training.get("classes"), "Shots": training.get("shots"),
        "Seed": training.get("seed"), "Epochs": training.get("epochs"), "Schedule": training.get("schedule"),
        "Precision": training.get("precision"),
        "Versions": ", ".join(f"{name} {version}" for name, version in training.get("versions", {}).items()),
    }  # fmt: skip
    rows = [
        f"- {name}: {markdown(one_line(str(value), 200))}" for name, value in shown.items() if value not in (None, "")
    ]
    return "\n".join([*rows, "", "`prompt_config.json` has every setting and the hashes of all image lists."])


def _front_matter(config: Mapping[str, Any]) -> dict[str, Any]:
    base, training = config["base_model"], config.get("training", {})
    data = one_line(str(training.get("label") or training.get("dataset") or "unknown"), 100)
    metrics = [
        {"type": _METRICS[r["metric"]], "value": round(r["value"], 2)}
        for r in config.get("results", [])
        if r.get("metric") in _METRICS
    ]
    front: dict[str, Any] = {
        "library_name": "clip-prompts",
        "pipeline_tag": "zero-shot-image-classification",
        "tags": ["clip", "prompt-learning", config["method"]["name"].lower()],
    }
    if base.get("hub_id"):
        front |= {"base_model": base["hub_id"], "base_model_relation": "adapter"}
    if config.get("license"):
        front["license"] = config["license"]
    if metrics:
        task = {"type": "zero-shot-image-classification"}
        result = {"task": task, "dataset": {"name": data, "type": data.lower()}, "metrics": metrics}
        front["model-index"] = [{"name": f"{config['method']['name']} {data}", "results": [result]}]
    return front
