import pytest
import torch

from tests.engine.stock import StockTrainer, seed
from tests.engine.test_trainer_resume import CrashingTrainer, Interrupted

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_run_on_cuda_resumes_with_the_same_losses(make_cfg, tmp_path):
    """Dropout draws from CUDA's generator, so its state must be in the checkpoint."""
    opts = ("USE_CUDA", True, "TRAIN.CHECKPOINT_FREQ", 1)
    seed()
    whole = StockTrainer(make_cfg(*opts, "OUTPUT_DIR", tmp_path / "whole"))
    whole.train()
    assert whole.device.type == "cuda" and next(whole.model.parameters()).is_cuda
    assert whole.train_loader_x.pin_memory

    seed()
    cut = CrashingTrainer(make_cfg(*opts))
    with pytest.raises(Interrupted):
        cut.train()
    seed(99)
    resumed = StockTrainer(make_cfg(*opts))
    resumed.train()
    assert cut.losses + resumed.losses == pytest.approx(whole.losses, rel=1e-5)
