"""Convolution whose kernel depends on the image."""

from torch import nn

from .attention import Attention


class Conv2dDynamic(nn.Conv2d):
    """A k x k convolution plus a mixture of four template convolutions, weighted for each image.

    y = W * x + sum_i a_i(z) (T_i * x), where the templates T_i have the sizes k x k, 1 x 1, k x 1 and 1 x k
    and the weights a(z) come from :class:`Attention` over z, by default the input x itself. Source: Dynamic
    Domain Generalization, IJCAI 2022: a static part and a meta-adjuster over asymmetric kernels.

    The static part is this layer's own ``weight`` and ``bias``, so that weights of a plain convolution fit.

    Args:
        in_channels, out_channels (int): channels of input and output.
        kernel_size (int): k, odd.
        stride (int): stride of all five convolutions.
        padding (int): k // 2, so that all of them have outputs of one size.
        bias (bool): a bias in each convolution and in the attention.
        squeeze (int or None): hidden width of the attention.
        attention_in_channels (int or None): channels of z; None means ``in_channels``.

    Raises:
        ValueError: an even kernel, or another padding.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        bias=True,
        squeeze=None,
        attention_in_channels=None,
    ):
        if kernel_size % 2 == 0:
            raise ValueError(f"Conv2dDynamic needs an odd kernel_size, but got {kernel_size}")
        if padding != kernel_size // 2:
            raise ValueError(
                f"Conv2dDynamic needs padding {kernel_size // 2} for kernel_size {kernel_size}, but got {padding}"
            )
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)

        def template(height, width):
            return nn.Conv2d(
                in_channels, out_channels, (height, width), stride, padding=(height // 2, width // 2), bias=bias
            )

        k = kernel_size
        self.templates = nn.ModuleList([template(k, k), template(1, 1), template(k, 1), template(1, k)])
        self.attention = Attention(attention_in_channels or in_channels, len(self.templates), squeeze, bias)

    def forward(self, x, attention_x=None):
        """Images x (B, in_channels, H, W) -> (B, out_channels, H', W').

        Args:
            attention_x (Tensor or None): z, (B, attention_in_channels, any, any); None means x.
        """
        weights = self.attention(x if attention_x is None else attention_x)
        out = super().forward(x)
        for template, weight in zip(self.templates, weights.unbind(dim=1), strict=True):
            out = out + weight[:, None, None, None] * template(x)
        return out
