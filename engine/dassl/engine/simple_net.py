from torch import nn

from dassl.modeling import build_backbone, build_head


class SimpleNet(nn.Module):
    """Backbone, optional head, optional linear classifier.

    Args:
        cfg: the config tree; only VERBOSE is read.
        model_cfg: its MODEL node: BACKBONE and HEAD.
        num_classes (int): C; 0 means no classifier.
        kwargs: handed on to the builders of backbone and head.

    Attributes:
        backbone, head, classifier (nn.Module): head and classifier are None when absent.
    """

    def __init__(self, cfg, model_cfg, num_classes, **kwargs):
        super().__init__()
        self.backbone = build_backbone(
            model_cfg.BACKBONE.NAME, verbose=cfg.VERBOSE, pretrained=model_cfg.BACKBONE.PRETRAINED, **kwargs
        )
        width = self.backbone.out_features

        self.head = None
        head = model_cfg.HEAD
        if head.NAME and head.HIDDEN_LAYERS:
            own = {"hidden_layers": head.HIDDEN_LAYERS, "activation": head.ACTIVATION, "bn": head.BN}
            own |= {"dropout": head.DROPOUT, "in_features": width}
            self.head = build_head(head.NAME, verbose=cfg.VERBOSE, **own, **kwargs)
            width = self.head.out_features

        self.classifier = nn.Linear(width, num_classes) if num_classes > 0 else None
        self._fdim = width

    @property
    def fdim(self):
        """int: width of the feature that the classifier sees."""
        return self._fdim

    def forward(self, x, return_feature=False):
        """Images (B, 3, H, W) -> logits (B, C); without a classifier features (B, fdim).

        Args:
            return_feature (bool): with a classifier, return (logits, features).
        """
        feature = self.backbone(x)
        if self.head is not None:
            feature = self.head(feature)
        if self.classifier is None:
            return feature
        logits = self.classifier(feature)
        return (logits, feature) if return_feature else logits
