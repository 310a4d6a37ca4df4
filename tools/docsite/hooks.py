"""Hooks of MkDocs: the README as the home page, pages from docstrings, and links that fit the site.

``mkdocs build`` loads this file by its path, see ``mkdocs.yml``.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
API = {
    "api/prompts.md": (
        "Learned prompts", ["prompt.loading.load_prompt", "prompt.prompt.Prompt", "prompt.prompt.Prediction"],
    ),
    "api/methods.md": (
        "Methods",
        ["clip.trainer.CLIPTrainer", "clip.learners.Learner", "clip.learners.PromptLearner", "clip.model.Seen",
         "clip.model.PromptedCLIP", "clip.teacher.Teacher", "clip.precision.Precision"],
    ),
    "api/encoders.md": (
        "Encoders and features",
        ["encoders.text_encoder.TextEncoder", "encoders.image_encoder.ImageEncoder",
         "features.image_features.ImageFeatures"],
    ),
}  # fmt: skip
LINK = re.compile(r"(\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)|(src=\")([^\"]+)\"")


def on_config(config):
    """Names headings as GitHub does, also those that are not English."""
    from pymdownx.slugs import slugify

    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_files(files, config):
    """Adds the home page and the pages from docstrings."""
    from mkdocs.structure.files import File

    pages = {"index.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    for path, (title, names) in API.items():
        pages[path] = f"# {title}\n\n" + "".join(f"::: clip_prompts.{name}\n\n" for name in names)
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Makes links fit the site, and lets tables follow a comment."""
    here = ROOT if page.file.src_uri == "index.md" else (DOCS / page.file.src_uri).parent
    markdown = re.sub(r"^(<!-- .* -->)\n(?=\S)", r"\1\n\n", markdown, flags=re.M)
    return LINK.sub(lambda link: _fit(link, here, page.file.src_uri.count("/")), markdown)


def _fit(link: re.Match, here: Path, depth: int) -> str:
    """Returns a link for the site. One to a file that is not part of the site becomes plain text."""
    words, target, attribute, source = link.groups()
    path, hash_, anchor = (target or source).partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return link[0]
    file = (here / path).resolve()
    if file == ROOT / "README.md":
        place = "index.md"
    elif file.is_relative_to(DOCS):
        place = file.relative_to(DOCS).as_posix()
    else:
        return words[1:-1] if words else link[0]
    place = "../" * depth + place + hash_ + anchor
    return f"{words}({place})" if words else f'{attribute}{place}"'
