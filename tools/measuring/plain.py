"""CoOp and CoCoOp the plain way: every prompt at 77 positions, one image at a time; CLIP's own transformer."""

import torch
from clip.model import CLIP
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from clip_prompts.clip.tokens import CONTEXT_LENGTH, tokenize


class PlainText(nn.Module):
    """Text features of learned contexts at the end position.

    Args:
        clip_model: frozen. names: C class names. n_ctx: M.
    """

    def __init__(self, clip_model: CLIP, names: list[str], n_ctx: int) -> None:
        super().__init__()
        self.clip = clip_model
        tokens = tokenize([" ".join(["X"] * n_ctx + [f"{name}."]) for name in names], names)
        padded = torch.tensor([ids + [0] * (CONTEXT_LENGTH - len(ids)) for ids in tokens])
        padded = padded.to(clip_model.token_embedding.weight.device)
        embedding = clip_model.token_embedding(padded).to(clip_model.dtype)  # (C, 77, d)
        self.before, self.behind = embedding[:, :1], embedding[:, 1 + n_ctx :]
        self.ends = padded.argmax(dim=1)

    def forward(self, context: Tensor) -> Tensor:
        """A context (M, d) to unit vectors (C, D)."""
        context = context.to(self.clip.dtype).expand(len(self.before), -1, -1)
        x = torch.cat([self.before, context, self.behind], dim=1) + self.clip.positional_embedding.to(self.clip.dtype)
        x = self.clip.transformer(x.transpose(0, 1)).transpose(0, 1)  # CLIP's blocks take (77, C, d)
        x = self.clip.ln_final(x).to(self.clip.dtype)
        return normalize(x[torch.arange(len(x), device=x.device), self.ends] @ self.clip.text_projection, dim=-1)


def logits(text: PlainText, learner: nn.Module, x: Tensor) -> Tensor:
    """Unit image features (B, D) to logits (B, C); a learner with a Meta-Net has a context for every image."""
    scale = text.clip.logit_scale.exp()
    if not hasattr(learner, "meta_net"):
        return scale * x @ text(learner.ctx).t()
    contexts = learner.ctx + learner.meta_net(x.to(learner.ctx.dtype)).unsqueeze(1)
    return torch.stack([scale * text(context) @ x_i for context, x_i in zip(contexts, x, strict=True)])


def backward(text: PlainText, learner: nn.Module, x: Tensor, label: Tensor, separately: bool) -> Tensor:
    """Loss of a batch, differentiated; ``separately``: after every image, with the memory of one (equal gradients)."""
    if not separately:
        loss = cross_entropy(logits(text, learner, x), label)
        loss.backward()
        return loss.detach()
    total = torch.zeros((), device=x.device)
    for i in range(len(x)):
        loss = cross_entropy(logits(text, learner, x[i : i + 1]), label[i : i + 1]) / len(x)
        loss.backward()
        total += loss.detach()
    return total
