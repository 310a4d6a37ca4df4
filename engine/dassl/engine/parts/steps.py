"""Progress of a run in steps, and the end of every step."""


def steps_done(trainer):
    """Return the number of finished steps since the start of the run, from 0; call it in a step."""
    return trainer.epoch * trainer.num_batches + trainer.batch_idx


def progress(trainer):
    """Return the finished share of the run, in [0, 1)."""
    return steps_done(trainer) / (trainer.max_epoch * trainer.num_batches)


def update_lr_at_epoch_end(trainer):
    """Step the schedulers if this is the last batch of the epoch."""
    if trainer.batch_idx + 1 == trainer.num_batches:
        trainer.update_lr()
