"""A teacher whose weights are the running average of a student's."""

import copy


def teacher_of(student):
    """Return a copy of the student that learns no gradient; it stays in train mode, as the student is in training.

    A trainer that keeps one says ``STATE = ("teacher",)``, so that it is saved and restored with the run.
    """
    teacher = copy.deepcopy(student).train()
    return teacher.requires_grad_(False)


def ema_decay(decay, step):
    """The decay of the running average in step ``step``, from 0: the true average at first, then ``decay``.

        min(1 - 1 / (step + 1), decay)

    "Mean teachers are better role models", NeurIPS 2017, section 3.
    """
    return min(1 - 1 / (step + 1), decay)
