"""The embedded backbone ``tiny``: a small CLIP that ships with the repository.

``MODEL_CARD.md`` in this folder says what it was trained on and what it can do.
``tools/train_tiny.py`` trains it again.
"""

from pathlib import Path

import torch

from clip_prompts.common.errors import UserError

WEIGHTS = Path(__file__).parent / "tiny.safetensors"
VOCABULARY = 49408  # OpenAI's tokenizer
_FILL_SEED = 20211006
_FILL_STD = 0.02  # as OpenAI's CLIP initialises its token embedding


def tiny_state_dict(path: Path = WEIGHTS) -> dict[str, torch.Tensor]:
    """The full state dict in OpenAI's structure, fp32, as ``clip.model.build_model`` takes it.

    The file holds the token embedding of the words in the training captions only. Rows of all other tokens get
    fixed random values (normal, standard deviation 0.02) from a generator of their own; the global random stream
    is not touched. Every call returns new tensors.

    Raises UserError: the file is missing or is not one that ``tools/train_tiny.py`` wrote.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    again = "Restore it from the repository, or make it with: python tools/train_tiny.py"
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
        ids, rows = state.pop("token_embedding.ids").long(), state.pop("token_embedding.rows")
    except FileNotFoundError as error:
        raise UserError(f"The weights of the backbone 'tiny', {path}, are missing. {again}") from error
    except (SafetensorError, KeyError) as error:
        raise UserError(f"The weights of the backbone 'tiny', {path}, are not readable ({error}). {again}") from error
    generator = torch.Generator().manual_seed(_FILL_SEED)
    embedding = torch.empty(VOCABULARY, rows.shape[1]).normal_(0.0, _FILL_STD, generator=generator)
    embedding[ids] = rows
    state["token_embedding.weight"] = embedding
    return state
