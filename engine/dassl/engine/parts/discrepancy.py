def discrepancy(logit1, logit2):
    """Disagreement of two classifiers: the mean over images and classes of |p1 - p2|, in [0, 2 / C].

    "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation", CVPR 2018, section 3.

    Args:
        logit1, logit2 (Tensor): of the same images, (B, C).
    """
    return (logit1.softmax(dim=1) - logit2.softmax(dim=1)).abs().mean()
