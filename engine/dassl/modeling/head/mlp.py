from torch import nn

from dassl.utils import UnknownNameError

from .build import HEAD_REGISTRY

_ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}


class MLP(nn.Sequential):
    """Linear, batch norm, activation and dropout for each hidden layer: (B, in) -> (B, last hidden).

    Args:
        in_features (int): width of the input.
        hidden_layers (int or list of int): width of each layer.
        activation (str): ``relu`` or ``leaky_relu``.
        bn (bool): batch normalisation after each linear layer.
        dropout (float): probability; 0 means none.

    Attributes:
        out_features (int): width of the output.

    Raises:
        UnknownNameError: another activation.
    """

    def __init__(self, in_features=2048, hidden_layers=[], activation="relu", bn=True, dropout=0.0):  # noqa: B006
        if activation not in _ACTIVATIONS:
            raise UnknownNameError(f"Unknown activation '{activation}'. Known: {', '.join(_ACTIVATIONS)}")
        if isinstance(hidden_layers, int):
            hidden_layers = [hidden_layers]
        layers = []
        width = in_features
        for hidden in hidden_layers:
            layers.append(nn.Linear(width, hidden))
            if bn:
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(_ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = hidden
        super().__init__(*layers)
        self.out_features = width


@HEAD_REGISTRY.register()
def mlp(**kwargs):
    """Return an :class:`MLP`."""
    return MLP(**kwargs)
