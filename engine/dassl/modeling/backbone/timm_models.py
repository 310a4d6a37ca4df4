"""Backbones of the timm library, which is imported only when one is asked for."""

from dassl.utils import UnknownNameError, UserError, get_most_similar_str_to_a_from_b

from .backbone import Backbone
from .weights import explaining_failed_download

TIMM_PREFIX = "timm/"


class TimmBackbone(Backbone):
    """A timm model without its classifier: images (B, 3, H, W) -> features (B, D).

    Args:
        model (nn.Module): made by timm with ``num_classes=0``.
        out_features (int): D.
    """

    def __init__(self, model, out_features):
        super().__init__()
        self.model = model
        self._out_features = out_features

    def forward(self, x):
        return self.model(x)


def build_timm_backbone(model_name, pretrained=True, **kwargs):
    """Return timm's model of that name as a backbone. Other settings are ignored.

    Raises:
        UserError: timm is not installed, or the weights cannot be fetched.
        UnknownNameError: (a ValueError) timm has no such model.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"The backbone '{TIMM_PREFIX}{model_name}' needs the timm library. Run: pip install timm"
        ) from error
    if not timm.is_model(model_name):
        closest = get_most_similar_str_to_a_from_b(model_name, timm.list_models())
        raise UnknownNameError(
            f"Unknown timm model '{model_name}'. Did you mean '{TIMM_PREFIX}{closest}'? "
            "All names: python -c 'import timm; print(timm.list_models())'"
        )
    with explaining_failed_download(f"{TIMM_PREFIX}{model_name}"):
        model = timm.create_model(model_name, pretrained=pretrained, num_classes=0)
    # In some families a last convolution before the classifier widens the feature.
    width = getattr(model, "head_hidden_size", None) or model.num_features
    return TimmBackbone(model, width)
