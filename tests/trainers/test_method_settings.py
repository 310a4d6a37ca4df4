"""Settings of the methods that do not fit are refused in one line; extreme ones keep their meaning."""

import pytest

from trainers.promptsrc import gaussian_weights

REFUSED = {
    ("MaPLe", "PROMPT_DEPTH", 20): "accepts deep rows at layers 1 to",
    ("MaPLe", "CTX_INIT", "cat"): "'cat' has 1 tokens, too few for 2 context vectors",
    ("TCP", "LAYER", 20): "accepts deep rows at layers 1 to",
    ("TCP", "N_CTX", 8): "TRAINER.TCP.N_CTX 8 is not",
    ("ProGrad", "N_CTX", 2): "N_CTX 2 is too small for the",
    ("ProGrad", "CSC", True): "and CSC True cannot be combined",
    ("DePT", "BASE", "IVLP"): "Unknown base method (TRAINER.DEPT.BASE) 'IVLP'",
}


@pytest.mark.parametrize("setting", REFUSED, ids=str)
def test_a_setting_that_does_not_fit_is_refused(setting, run):
    method, key, value = setting
    settings = {f"TRAINER__{method.upper()}__{key}": value}
    assert run(method, config=f"configs/trainers/{method}/tiny.yaml", **settings) == 2
    assert REFUSED[setting] in run.err and "Traceback" not in run.err


@pytest.mark.parametrize("epochs, mean, std", [(20, 15, 1), (50, 30, 30), (3, 1000, 0.5), (1, -5, 2)])
def test_weights_of_the_epochs_follow_the_normal_distribution(epochs, mean, std):
    weights = gaussian_weights(epochs, mean, std)
    assert sum(weights) == pytest.approx(1) and len(weights) == epochs
    peak = min(range(1, epochs + 1), key=lambda e: abs(e - mean))
    assert max(range(epochs), key=weights.__getitem__) + 1 == peak
