from dassl.utils import Registry, check_availability

from .timm_models import TIMM_PREFIX, build_timm_backbone

BACKBONE_REGISTRY = Registry("BACKBONE")


def build_backbone(name, verbose=True, **kwargs):
    """Return a backbone: images (B, 3, H, W) -> features (B, D), D in ``out_features``.

    Args:
        name (str): a registered name, or ``timm/<model>`` for any model of the timm library.
        verbose (bool): print the name.
        kwargs: handed on; ``pretrained`` (bool) asks for learned weights.

    Raises:
        UnknownNameError: (a ValueError) no backbone has that name.
        UserError: timm is not installed, or the weights cannot be fetched.
    """
    is_timm = name.startswith(TIMM_PREFIX)
    if not is_timm:
        check_availability(name, BACKBONE_REGISTRY.registered_names())
    if verbose:
        print(f"Backbone: {name}")
    if is_timm:
        return build_timm_backbone(name[len(TIMM_PREFIX) :], **kwargs)
    return BACKBONE_REGISTRY.get(name)(**kwargs)
