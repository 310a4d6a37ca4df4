from dassl.utils import Registry, check_availability

HEAD_REGISTRY = Registry("HEAD")


def build_head(name, verbose=True, **kwargs):
    """Return the head of that name, built with ``kwargs``.

    Raises:
        UnknownNameError: (a ValueError) no head has that name.
    """
    check_availability(name, HEAD_REGISTRY.registered_names())
    if verbose:
        print(f"Head: {name}")
    return HEAD_REGISTRY.get(name)(**kwargs)
