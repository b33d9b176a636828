"""Long work reports how far it is: to scikit-learn's callbacks, or in lines of print."""

import time
from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn 1.8
    CallbackSupportMixin, with_callbacks = type("CallbackSupportMixin", (), {}), lambda method: method

__all__ = ["CallbackSupportMixin", "progress", "with_callbacks"]

_STEPS = 100  # tasks that callbacks are told of
_PAUSE = 2.0  # seconds between two lines


@contextmanager
def progress(estimator, task, total, *, verbose=False, what="texts"):
    """Report on a piece of work, to whoever listens.

    The method in which this stands is decorated `with_callbacks`, which ends what the callbacks began.

    Parameters
    ----------
    estimator : estimator
        With `CallbackSupportMixin`.
    task : str
        What is done: "encoded".
    total : int
        How much there is to do.
    verbose : bool, default=False
        Print a line every few seconds.
    what : str, default="texts"
        Of what.

    Yields
    ------
    report : callable or None
        To be called with how much is done; None where nobody listens.
    """
    listeners = []
    context = None
    if hasattr(estimator, "_init_callback_context") and getattr(estimator, "_skl_callbacks", None):
        context = estimator._init_callback_context(task_name=task, max_subtasks=min(_STEPS, total))
        context.call_on_fit_task_begin(estimator=estimator)
        listeners.append(_steps(estimator, context, total))
    if verbose:
        listeners.append(_lines(type(estimator).__name__, task, total, what))

    def report(done):
        for listener in listeners:
            listener(done)

    yield report if listeners else None
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator)


def _steps(estimator, context, total):
    """Tell callbacks of steps, each so many percent."""
    n_steps, reached = min(_STEPS, total), 0

    def listen(done):
        nonlocal reached
        while reached < done * n_steps // total:
            step = context.subcontext(task_name="step")
            step.call_on_fit_task_begin(estimator=estimator)
            step.call_on_fit_task_end(estimator=estimator)
            reached += 1

    return listen


def _lines(name, task, total, what):
    """Print a line from time to time, and one in the end."""
    start = last = time.monotonic()

    def listen(done):
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _PAUSE:
            last = now
            print(f"[{name}] {task} {done} of {total} {what}, {now - start:.0f} s", flush=True)

    return listen
