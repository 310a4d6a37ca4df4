"""Top-k accuracy of a batch."""

import torch


@torch.no_grad()
def compute_accuracy(output, target, topk=(1,)):
    """Return how many of the true classes are among the k highest scores.

    Args:
        output (Tensor): scores, (B, C); of a tuple or list the first element.
        target (Tensor): true classes, (B,).
        topk (tuple of int): the values of k, each at most C.

    Returns:
        list of Tensor: for each k the accuracy in percent, shape (1,).
    """
    if isinstance(output, (tuple, list)):
        output = output[0]
    ranked = output.topk(max(topk), dim=1).indices
    hits = ranked.eq(target.view(-1, 1))
    return [hits[:, :k].float().sum().mul(100.0 / target.size(0)).view(1) for k in topk]
