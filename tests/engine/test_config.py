"""Config keys that only this engine has; those of Dassl are tested in ``engine/conformance``."""

from dassl.config import get_cfg_default


def test_keys_of_this_engine_have_defaults_that_change_nothing():
    cfg = get_cfg_default()
    assert (cfg.DATASET.UNREADABLE, cfg.DATASET.UNLABELED) == ("error", "")
    assert (cfg.DATALOADER.DECODED_MB, cfg.DATALOADER.PERSISTENT_WORKERS) == (512, False)
    assert (cfg.TRAIN.CHECKPOINT_BATCHES, cfg.TRAIN.CHECKPOINT_SECONDS) == (0, 0.0)
