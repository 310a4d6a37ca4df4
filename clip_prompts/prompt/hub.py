"""Prompts on the Hugging Face Hub, with the extra ``huggingface_hub``."""

from pathlib import Path
from typing import Any

from clip_prompts.artifact import CONFIG, FILES, MODEL
from clip_prompts.common.errors import UserError
from clip_prompts.common.places import user_cache_dir
from clip_prompts.common.text import one_line

_REVISION = 40  # characters of a commit's hash


def download(repo_id: str, revision: str | None = None) -> Path:
    """Fetch the two files that a prompt needs, at one fixed commit, into the user's cache; returns their folder.

    Raises UserError: the package is missing, or the Hub has no such prompt.
    """
    try:
        hub = _hub()
    except UserError as error:
        raise UserError(f"There is no folder '{repo_id}'. {error}") from error
    try:
        commit = hub.HfApi().model_info(repo_id, revision=revision).sha
        folder = user_cache_dir() / "prompts" / repo_id.replace("/", "--") / str(commit)[:_REVISION]
        for name in (CONFIG, MODEL):
            hub.hf_hub_download(repo_id, name, revision=commit, local_dir=folder)
    except Exception as error:  # without a network it is one of the package's HTTP client, which differs by version
        raise UserError(
            f"There is no folder '{repo_id}', and no prompt with this name on the Hugging Face Hub "
            f"({one_line(str(error), 200)}). Check the name"
        ) from error
    return folder


def upload(folder: Path, repo_id: str, private: bool, token: str | None) -> str:
    """Upload a prompt's folder; returns its address. Raises UserError: the package is missing, or the Hub refuses."""
    hub = _hub()
    try:
        api = hub.HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=list(FILES))
    except Exception as error:  # see download
        reason = one_line(str(error), 300)
        raise UserError(f"'{repo_id}' cannot be uploaded: {reason}. Log in: hf auth login") from error
    return f"https://huggingface.co/{repo_id}"


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError("The Hugging Face Hub needs a package: pip install huggingface_hub") from error
    return huggingface_hub
