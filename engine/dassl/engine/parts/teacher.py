"""A teacher whose weights are the running average of a student's."""

import copy


def teacher_of(student):
    """Return a copy of the student in train mode, without gradients.

    A trainer that keeps one says ``STATE = ("teacher",)``, so that it is saved and restored with the run.
    """
    teacher = copy.deepcopy(student).train()
    return teacher.requires_grad_(False)


def ema_decay(decay, step):
    """The decay of the running average in step ``step`` of a run, from 0: min(1 - 1 / (step + 1), decay).

    Small at first, so that the weights of the first steps are soon forgotten ("Mean teachers are better role models",
    NeurIPS 2017, section 3, where the decay is smaller at first; the rule is that of its authors' program).
    """
    return min(1 - 1 / (step + 1), decay)
