def split_by_domain(domain, *tensors):
    """Return {domain (int): (part of each tensor, ...)} in rising order of the domains of a batch.

    Args:
        domain (Tensor): domain of each image, (B,).
        tensors (Tensor): (B, ...).
    """
    domain = domain.cpu()
    return {number: tuple(t[(domain == number).to(t.device)] for t in tensors) for number in domain.unique().tolist()}
