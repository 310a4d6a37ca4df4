"""MixStyle: means and standard deviations of feature maps, mixed between images."""

from .feature_mixing import FeatureMixing, make_switches


class MixStyle(FeatureMixing):
    """Normalises each channel of an image, then scales and shifts it by a mixture of statistics.

    They are the standard deviations and the means of the image and of its partner; no gradient flows
    through them. Arguments: :class:`FeatureMixing`.

    Source: Domain Generalization with MixStyle, ICLR 2021, section 3.2.
    """

    def _mix_with(self, x, partners, share):
        mean = x.mean(dim=(2, 3), keepdim=True).detach()
        correction = min(1, x[0, 0].numel() - 1)  # a map of one pixel has the variance 0, not none
        std = (x.var(dim=(2, 3), keepdim=True, correction=correction) + self.eps).sqrt().detach()
        mixed_mean = share * mean + (1 - share) * mean[partners]
        mixed_std = share * std + (1 - share) * std[partners]
        return (x - mean) / std * mixed_std + mixed_mean


(
    random_mixstyle,
    crossdomain_mixstyle,
    activate_mixstyle,
    deactivate_mixstyle,
    run_with_mixstyle,
    run_without_mixstyle,
) = make_switches(MixStyle)
