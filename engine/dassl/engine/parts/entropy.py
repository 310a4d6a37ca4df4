def entropy(logits):
    """Logits (B, C) -> entropies of their softmax in nats, (B,)."""
    log_p = logits.log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)
