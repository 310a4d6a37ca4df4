from dassl.utils import Registry, check_availability

NETWORK_REGISTRY = Registry("NETWORK")


def build_network(name, verbose=True, **kwargs):
    """Return the network of that name, built with ``kwargs``.

    Raises:
        UnknownNameError: (a ValueError) no network has that name.
    """
    check_availability(name, NETWORK_REGISTRY.registered_names())
    if verbose:
        print(f"Network: {name}")
    return NETWORK_REGISTRY.get(name)(**kwargs)
