"""Top-k accuracy of a batch."""

import torch


@torch.no_grad()
def compute_accuracy(output, target, topk=(1,)):
    """Return for each k of ``topk`` the percentage (1,) of true classes that are among the k highest scores.

    ``output``: scores (B, C); of a tuple or list the first element. ``target``: true classes (B,).
    """
    if isinstance(output, (tuple, list)):
        output = output[0]
    ranked = output.topk(max(topk), dim=1).indices
    hits = ranked.eq(target.view(-1, 1))
    return [hits[:, :k].float().sum().mul(100.0 / target.size(0)).view(1) for k in topk]
