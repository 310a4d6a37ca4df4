"""Ctrl-C and SIGTERM, which ask a run to end."""

import os
import signal
import threading


class Interrupted(SystemExit):
    """The run was asked to end, and has saved itself. ``code``, the exit status, is 128 + the signal."""

    def __init__(self, signum):
        super().__init__(128 + signum)


class Interrupts:
    """Inside this context, the first SIGINT or SIGTERM only sets ``received``; the next one ends the run at once.

    Only where the program has no handler of its own for the signal, and only in the main thread.

    Attributes:
        received (int or None): number of the signal that came.
    """

    def __init__(self):
        self.received = None
        self._before = {}

    def __enter__(self):
        self.received, self._before, self._process = None, {}, os.getpid()
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, kind, *_):
        self._give_back()
        if kind is None and self.received is not None:
            os.kill(os.getpid(), self.received)  # nobody has looked at it

    def _handle(self, signum, frame):
        if os.getpid() != self._process:
            # A loader worker was forked with this handler. At Ctrl-C it works on until the run ends it.
            if signum == signal.SIGTERM:
                self._give_back()
                os.kill(os.getpid(), signum)
            return
        if self.received is not None:
            self._give_back()
            os.kill(os.getpid(), signum)
            return
        self.received = signum
        if signum == signal.SIGINT:
            # Not print(): the signal may have come in the middle of one.
            os.write(2, b"\nCtrl-C: finishing the running batch, then saving (once more ends at once)\n")

    def _give_back(self):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}
