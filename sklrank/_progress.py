"""Progress of long work, for scikit-learn's callbacks or in printed lines."""

import time
from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn 1.8
    CallbackSupportMixin, with_callbacks = type("CallbackSupportMixin", (), {}), lambda method: method

__all__ = ["CallbackSupportMixin", "progress", "with_callbacks"]

_STEPS = 100  # maximum number of tasks reported to callbacks
_PAUSE = 2.0  # minimum number of seconds between two lines


@contextmanager
def progress(estimator, task, total, *, verbose=False, what="texts"):
    """Report the progress of a task to callbacks and, if `verbose`, in printed lines.

    The method that uses this must be decorated `with_callbacks`, which ends the tasks of the callbacks.

    Parameters
    ----------
    estimator : estimator
        An estimator with `CallbackSupportMixin`.
    task : str
        Name of the task, such as "encoded".
    total : int
        Number of items.
    verbose : bool, default=False
        Whether to print progress, in a line every few seconds.
    what : str, default="texts"
        Name of the items.

    Yields
    ------
    report : callable or None
        Takes the number of items that are done. None if there is neither a callback nor printing.
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

    if not listeners:
        report = None
    yield report
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator)


def _steps(estimator, context, total):
    """Return a listener that reports equal steps to callbacks."""
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
    """Return a listener that prints a line every few seconds, and one at the end."""
    start = last = time.monotonic()

    def listen(done):
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _PAUSE:
            last = now
            print(f"[{name}] {task} {done} of {total} {what}, {now - start:.0f} s", flush=True)

    return listen
