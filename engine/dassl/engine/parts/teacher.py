"""A teacher whose weights are the running average of a student's."""

import copy

from dassl.modeling.ops.utils import ema_model_update

from .one_loss import OneLoss
from .steps import steps_done


class AveragedTeacher(OneLoss):
    """Mixin before a trainer with one model: after every step ``teacher`` follows it.

        w'  <-  a w' + (1 - a) w,        a = min(1 - 1 / (step + 1), ema_alpha)

    w, w': weights of the model and of the teacher, which learns by nothing else. "Mean teachers are better role
    models", NeurIPS 2017, section 2. The smaller a of the first steps, which are soon forgotten, is from the program of
    its authors. The teacher stays in train mode; the statistics of its batch normalisation are its own.

    A subclass writes ``loss`` and ``ema_alpha``, a number from 0 to 1.
    """

    STATE = ("teacher",)  # saved and restored with the run

    def build_model(self):
        super().build_model()
        self.teacher = copy.deepcopy(self._models["model"]).train().requires_grad_(False)

    def forward_backward(self, *batches):
        numbers = super().forward_backward(*batches)
        decay = min(1 - 1 / (steps_done(self) + 1), self.ema_alpha)
        ema_model_update(self._models["model"], self.teacher, decay)
        return numbers
