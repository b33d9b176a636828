"""Progress of long work, on standard error."""

import sys
import time

_WIDTH = 30  # of the bar
_PARTS = 5  # lines if the output is not a terminal


class Progress:
    """Show a bar on a terminal, or print a line after each fifth of the steps.

    Parameters
    ----------
    what : str
        Name of the steps.
    total : int
        Number of steps.
    """

    def __init__(self, what, total):
        self.what = what
        self.total = total
        self.done = 0
        self._start = time.perf_counter()

    def step(self):
        """Count a step as done."""
        self.done += 1
        seconds = time.perf_counter() - self._start
        if sys.stderr.isatty():
            filled = _WIDTH * self.done // self.total
            left = seconds * (self.total - self.done) / self.done
            bar = "#" * filled + "." * (_WIDTH - filled)
            line = f"\r{self.what}  [{bar}] {self.done}/{self.total}, {left:.0f} s left  "
            if self.done == self.total:
                line += "\n"
            print(line, end="", file=sys.stderr, flush=True)
        elif self.done * _PARTS // self.total > (self.done - 1) * _PARTS // self.total:
            print(f"{self.what}: {self.done} of {self.total}, {seconds:.1f} s", file=sys.stderr, flush=True)
