"""A bundled trainer that is interrupted between epochs ends as one that was not."""

import pytest
import torch

from tests.engine.trainers.test_ssl import FEW, SETTINGS

pytestmark = pytest.mark.zoo

SETTINGS_OF = {
    "ADDA": (),
    "AdaBN": (),
    "CDAC": (),
    "CrossGrad": (),
    "MeanTeacher": FEW,
    "MixMatch": (*FEW, *SETTINGS["MixMatch"]),
    "SE": (),
}
SHORT = ("OPTIM.MAX_EPOCH", 2, "TRAIN.CHECKPOINT_FREQ", 1)


def weights(trainer):
    """Every number of all networks, those of what STATE names included."""
    modules = [*trainer._models.values(), *(getattr(trainer, name) for name in trainer.STATE)]
    return [value for module in modules for value in module.state_dict().values()]


@pytest.mark.parametrize("name", SETTINGS_OF)
def test_an_interrupted_run_ends_as_one_that_was_not(build, name, start):
    opts = (*SETTINGS_OF[name], *SHORT, *(start if name in ("ADDA", "AdaBN") else ()))
    whole = build(name, *opts)
    whole.train()

    class Interrupted(Exception):
        pass

    def stop():
        if first.epoch == 1:
            raise Interrupted

    first = build(name, *opts)
    first.before_epoch = stop
    with pytest.raises(Interrupted):
        first.train()
    second = build(name, *opts, "RESUME", first.output_dir, seed=7)
    assert not all(map(torch.equal, weights(second), weights(first)))
    second.train()
    assert second.start_epoch == 1
    assert all(map(torch.equal, weights(second), weights(whole)))
