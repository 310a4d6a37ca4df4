"""Convex combinations of images and of their labels."""

import torch


def mixup(x1, x2, y1, y2, beta, preserve_order=False):
    """Return l x1 + (1 - l) x2 and l y1 + (1 - l) y2, with one l ~ Beta(beta, beta) for each pair.

    Source: mixup: Beyond Empirical Risk Minimization, ICLR 2018.

    Args:
        x1, x2 (Tensor): images, (B, C, H, W).
        y1, y2 (Tensor): class probabilities, (B, K).
        beta (float): both parameters of the Beta distribution.
        preserve_order (bool): take max(l, 1 - l), so that the first of a pair has the larger share
            (MixMatch, NeurIPS 2019, eq. 9).

    Returns:
        tuple of Tensor: (B, C, H, W) and (B, K).

    Raises:
        ValueError: the images are no 4-D tensors.
    """
    if x1.dim() != 4 or x2.dim() != 4:
        raise ValueError(f"mixup needs images (B, C, H, W), but got {tuple(x1.shape)} and {tuple(x2.shape)}")
    share = torch.distributions.Beta(beta, beta).sample((x1.size(0), 1))
    if preserve_order:
        share = torch.max(share, 1 - share)
    share = share.to(x1.device)
    share4 = share[:, :, None, None]
    return share4 * x1 + (1 - share4) * x2, share * y1 + (1 - share) * y2
