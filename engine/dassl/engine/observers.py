"""The interface through which code outside of a trainer follows its run."""


class Observer:
    """Does nothing at each event of a run. A subclass overrides the events that it needs.

    ``trainer.observers`` is a list; append to it before ``train()`` or ``test()``. The loops call every observer of the
    list, in its order. Observers must not draw random numbers: a run with them ends as the same run without them.

    A trainer with its own ``run_epoch`` gets every event but ``step_ends``; one with its own ``test`` gets no event of
    a test.
    """

    def run_begins(self, trainer):
        """Training begins, before ``before_train``: nothing is resumed yet."""

    def epoch_begins(self, trainer):
        """An epoch begins, after ``before_epoch`` and before the first batch is loaded."""

    def step_ends(self, trainer, metrics):
        """A batch is done, and its line is printed.

        A run that resumes within an epoch reports the finished batches of that epoch again.

        Args:
            metrics (dict or None): what ``forward_backward`` returned.
        """

    def epoch_ends(self, trainer, metrics):
        """All batches of an epoch are done, before ``after_epoch`` validates and saves.

        Args:
            metrics (dict): name -> mean (float) over the epoch's batches of what ``forward_backward`` returned.
        """

    def test_begins(self, trainer, split):
        """An evaluation begins. Observers need this event to start their clocks and to forget an unfinished test.

        Args:
            split (str or None): the argument of ``test``. None is the final test, on TEST.SPLIT.
        """

    def batch_tested(self, trainer, batch, output, label):
        """The model has seen a batch of an evaluation.

        Args:
            batch (dict): the loader's batch. output (Tensor): of ``model_inference``. label (Tensor): (B,).
        """

    def test_ends(self, trainer, split, results):
        """An evaluation is done.

        Args:
            split (str): ``val`` or ``test``, the one that was evaluated.
            results (dict): name -> number, from the evaluator.
        """
