"""Print the words that are nearest to each learned context vector, as upstream's program of this name does.

Distances are Euclidean, on the token embedding of the backbone. They say little about what a vector does: the nearest
words of a good prompt are often unrelated. It reads checkpoints of upstream and of this program without running code.

examples:
  python interpret_prompt.py output/first/prompt_learner/model.pth.tar-50 3
  python interpret_prompt.py prompt_learner/model.pth.tar-200 5 --backbone ViT-B/16
"""

import argparse
import sys
from pathlib import Path

from clip_prompts.common.environment import require_packages, require_python

require_python()

DEFAULT = "RN50"  # upstream's


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    require_packages("interpret_prompt.py")
    from clip_prompts.run.errors import user_message

    try:
        interpret(args.fpath, args.topk, args.backbone)
    except Exception as error:
        if (line := user_message(error)) is None:
            raise
        print(f"Error: {line}", file=sys.stderr)
        return 2
    return 0


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fpath", help="checkpoint of a learned prompt, .../prompt_learner/model.pth.tar-N")
    parser.add_argument("topk", type=int, help="number of words per vector")
    parser.add_argument(
        "--backbone", metavar="NAME",
        help="name or file, as in train.py (default: the backbone that results.json of the run names, "
        f"or without that file {DEFAULT})",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.topk < 1:
        parser.error(f"topk {args.topk} is not 1 or more")
    return args


def interpret(file: str, topk: int, backbone: str | None) -> None:
    """Print the nearest words of each vector. Raises UserError."""
    import torch

    from clip_prompts.backbones.loading import backbone_sha256, load_clip, openai
    from clip_prompts.common.errors import UserError
    from clip_prompts.prompt.checkpoint import backbone_of_run
    from clip_prompts.records.stored_identity import determines_of

    context, identity = read_context(file)
    backbone = backbone or backbone_of_run(Path(file).resolve().parents[1]) or DEFAULT
    print(f"Return the top-{topk} matched words")
    embedding = load_clip(backbone).token_embedding.weight.float()  # (tokens, width)
    print(f"Size of token embedding: {embedding.shape}")
    if context.shape[-1] != embedding.shape[1]:
        raise UserError(
            f"'{file}' has vectors of width {context.shape[-1]}, but the tokens of backbone '{backbone}' have "
            f"width {embedding.shape[1]}. Give the backbone that the prompt was learned with: --backbone NAME"
        )
    weights = (determines_of(identity) or {}).get("weights.backbone")
    if weights and weights != backbone_sha256(backbone):
        raise UserError(
            f"'{file}' was learned with other weights (SHA-256 {str(weights)[:12]}) than those of backbone "
            f"'{backbone}': its vectors have no meaning there. Give the backbone of its training: --backbone NAME"
        )
    print(f"Size of context: {context.shape}")
    decoder, topk = openai._tokenizer.decoder, min(topk, len(embedding))
    for number, vectors in enumerate([context] if context.dim() == 2 else context, 1):
        distance = torch.cdist(vectors, embedding)  # (M, tokens)
        if context.dim() == 3:
            print(f"Class {number}")
        elif context.dim() == 2:
            print(f"Size of distance matrix: {distance.shape}")
        nearest = distance.topk(topk, dim=1, largest=False, sorted=True)
        for m, (distances, tokens) in enumerate(zip(nearest.values.tolist(), nearest.indices.tolist(), strict=True), 1):
            print(f"{m}: {[decoder[token] for token in tokens]} {[f'{d:.4f}' for d in distances]}")


def read_context(file: str):
    """The context vectors (M, width), or (C, M, width) if each class has its own, and the run's identity or None.

    Raises UserError if the file is not a checkpoint of a prompt.
    """
    import torch
    from dassl.utils import load_checkpoint

    from clip_prompts.clip.checkpoints import learned_weights
    from clip_prompts.common.errors import UserError

    if not Path(file).is_file():
        raise UserError(
            f"There is no file '{file}'. Give the checkpoint of a prompt, such as prompt_learner/model.pth.tar-N"
        )
    content, prompt = load_checkpoint(file), torch.nn.Module()
    prompt.ctx = torch.nn.Parameter(torch.empty(0))
    try:
        context = learned_weights(content, prompt).get("ctx")
    except UserError as error:
        raise UserError(f"'{file}' is not the checkpoint of a prompt. {error}") from error
    if not isinstance(context, torch.Tensor) or context.dim() not in (2, 3) or not context.numel():
        raise UserError(f"'{file}' does not hold a context (ctx). Give the checkpoint of a prompt")
    return context.detach().cpu().float(), content.get("identity") if isinstance(content, dict) else None


if __name__ == "__main__":
    sys.exit(main())
