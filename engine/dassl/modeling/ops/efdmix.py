"""EFDMix: whole distributions of feature values, mixed between images."""

from .feature_mixing import FeatureMixing, make_switches


class EFDMix(FeatureMixing):
    """Moves the i-th smallest value of each channel towards the i-th smallest of the image's partner.

    The share of the image's own value that is taken away is a constant to the gradient.
    Arguments: :class:`FeatureMixing`.

    Source: Exact Feature Distribution Matching for Arbitrary Style Transfer and Domain Generalization,
    CVPR 2022, section 3.3.
    """

    def _mix_with(self, x, partners, share):
        values = x.flatten(2)
        ordered, order = values.sort(dim=2)
        matched = ordered[partners].gather(2, order.argsort(dim=2))
        mixed = values + (1 - share[..., 0]) * (matched - values.detach())
        return mixed.view_as(x)


(random_efdmix, crossdomain_efdmix, activate_efdmix, deactivate_efdmix, run_with_efdmix, run_without_efdmix) = (
    make_switches(EFDMix)
)
