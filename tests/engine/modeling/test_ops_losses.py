import itertools
import math

import pytest
import torch
from dassl.modeling.ops import (
    MaximumMeanDiscrepancy,
    MinibatchEnergyDistance,
    SinkhornDivergence,
    cross_entropy,
)
from dassl.modeling.ops.optimal_transport import sinkhorn_plan
from dassl.utils import UnknownNameError
from scipy.optimize import linear_sum_assignment

pytestmark = pytest.mark.zoo

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]], dtype=torch.float64)
CLASSES = torch.tensor([0, 1])


@pytest.mark.parametrize("smooth", [0, 0.1, 1.0])
def test_cross_entropy_of_smoothed_labels(smooth):
    log_p = LOGITS - LOGITS.exp().sum(dim=1, keepdim=True).log()
    target = torch.full((2, 3), smooth / 3, dtype=torch.float64)
    target[[0, 1], CLASSES] += 1 - smooth
    rows = -(target * log_p).sum(dim=1)
    torch.testing.assert_close(cross_entropy(LOGITS, CLASSES, smooth, reduction="none"), rows)
    torch.testing.assert_close(cross_entropy(LOGITS, CLASSES, label_smooth=smooth), rows.mean())
    torch.testing.assert_close(cross_entropy(LOGITS, CLASSES, smooth, reduction="sum"), rows.sum())


def test_cross_entropy_knows_three_reductions():
    with pytest.raises(ValueError, match="'median'. Known: mean, sum, none"):
        cross_entropy(LOGITS, CLASSES, reduction="median")


KERNELS = {
    "linear": lambda a, b: sum(p * q for p, q in zip(a, b, strict=True)),
    "poly": lambda a, b: (sum(p * q for p, q in zip(a, b, strict=True)) + 2) ** 2,
    "rbf": lambda a, b: sum(math.exp(-(math.dist(a, b) ** 2) / (2 * sigma**2)) for sigma in (1, 5, 10)),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_the_unbiased_estimate(kernel):
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64) + 1

    def mean(pairs):
        values = [KERNELS[kernel](a.tolist(), b.tolist()) for a, b in pairs]
        return sum(values) / len(values)

    expected = mean(itertools.permutations(x, 2)) + mean(itertools.permutations(y, 2))
    expected -= 2 * mean(itertools.product(x, y))
    assert MaximumMeanDiscrepancy(kernel)(x, y).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_of_equal_points_is_zero_and_grows_with_the_distance(kernel):
    mmd = MaximumMeanDiscrepancy(kernel_type=kernel)
    point = torch.tensor([[0.6, -0.8]])
    values = [mmd(point.repeat(3, 1), point.repeat(4, 1) + shift).item() for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values[0] == pytest.approx(0, abs=1e-5)
    assert values == sorted(values) and values[1] > 1e-3


def test_mmd_of_one_distribution_is_zero_on_average():
    torch.manual_seed(0)
    mmd = MaximumMeanDiscrepancy()
    values = torch.stack([mmd(torch.randn(10, 2), torch.randn(10, 2)) for _ in range(300)])
    assert values.mean().abs() < 3 * values.std() / math.sqrt(300)


def test_mmd_of_normalised_rows_ignores_their_length():
    torch.manual_seed(0)
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    mmd = MaximumMeanDiscrepancy(normalize=True)
    torch.testing.assert_close(mmd(x, y), mmd(x * torch.rand(4, 1).add(0.5), 7 * y))
    assert not torch.isclose(MaximumMeanDiscrepancy()(x, y), MaximumMeanDiscrepancy()(x, 7 * y))


def test_mmd_refuses():
    with pytest.raises(UnknownNameError, match="'sobolev'. Known: rbf, linear, poly"):
        MaximumMeanDiscrepancy("sobolev")
    with pytest.raises(ValueError, match="two rows or more, but they have 1 and 3"):
        MaximumMeanDiscrepancy()(torch.zeros(1, 2), torch.zeros(3, 2))


METRICS = ("cosine", "euclidean", "fast_euclidean")


def test_transport_plan_has_uniform_margins_and_approaches_the_best_assignment():
    torch.manual_seed(0)
    cost = torch.rand(6, 6, dtype=torch.float64)
    plan = sinkhorn_plan(cost, eps=0.02, max_iter=3000)
    torch.testing.assert_close(plan.sum(dim=0), torch.full((6,), 1 / 6, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(dim=1), torch.full((6,), 1 / 6, dtype=torch.float64), atol=3e-3, rtol=0)
    rows, columns = linear_sum_assignment(cost.numpy())
    best = cost[rows, columns].mean().item()
    assert (plan * cost).sum().item() == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize("metric", METRICS)
def test_sinkhorn_divergence(metric):
    torch.manual_seed(0)
    x = torch.randn(5, 3)
    divergence = SinkhornDivergence(metric)
    assert divergence(x, x).item() == 0
    assert divergence(x, -x) > 0.1
    # between two points all mass moves from one to the other
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    cost = 1 - math.sqrt(0.5) if metric == "cosine" else 1.0
    assert divergence(a, b).item() == pytest.approx(2 * cost, abs=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_minibatch_energy_distance(metric):
    a, b, c, d = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [-1.0, 0.5]]).split(1)

    def cost(p, q):
        if metric == "cosine":
            return 1 - torch.cosine_similarity(p, q).item()
        return (p - q).square().sum().item()

    expected = cost(a, c) + cost(a, d) + cost(b, c) + cost(b, d) - 2 * cost(a, b) - 2 * cost(c, d)
    energy = MinibatchEnergyDistance(metric)
    x, y = torch.cat([a, b]), torch.cat([c, d])
    assert energy(x, y).item() == pytest.approx(expected, abs=1e-5)
    assert energy(torch.cat([x, x[:1]]), y).item() == pytest.approx(expected, abs=1e-5)  # the odd row is left out
    with pytest.raises(ValueError, match="two rows or more, but they have 2 and 1"):
        energy(x, c)


@pytest.mark.parametrize("through_the_plan", [False, True])
def test_gradient_of_the_transport_plan(through_the_plan):
    torch.manual_seed(0)
    x = torch.randn(4, 2, requires_grad=True)
    y = torch.randn(4, 2)
    layer = SinkhornDivergence("fast_euclidean", eps=1.0, bp_to_sinkhorn=through_the_plan)
    layer.transport_cost(x, y).backward()
    plan = sinkhorn_plan((x[:, None] - y).square().sum(dim=2), eps=1.0, max_iter=5).detach()
    of_the_cost_alone = 2 * (plan[:, :, None] * (x[:, None] - y)).sum(dim=1).detach()
    assert torch.allclose(x.grad, of_the_cost_alone, atol=1e-6) is not through_the_plan


@pytest.mark.parametrize("distance", [SinkhornDivergence, MinibatchEnergyDistance])
def test_transport_knows_three_metrics(distance):
    with pytest.raises(UnknownNameError, match="'hamming'. Known: cosine, euclidean, fast_euclidean"):
        distance("hamming")
