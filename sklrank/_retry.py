"""Calls that leave the process: a limit on their time, and further tries where a failure may pass."""

import random
import threading
import time
from concurrent.futures import Future
from contextvars import copy_context

_LONGEST_WAIT = 60.0  # seconds between two tries
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}  # of HTTP: too slow, too busy, not there yet


def call_with_retries(call, *, retries, backoff, pause_of):
    """The result of ``call()``, which is tried again where its failure may pass.

    Before the first further try it waits `backoff` seconds, before each one after that twice as long as before, and
    up to a quarter less by chance, so that many who failed together do not come back together.

    Parameters
    ----------
    call : callable
        Takes no arguments.
    retries : int
        Most further tries.
    backoff : float
        Seconds to wait before the first of them.
    pause_of : callable
        Takes the exception; returns the least number of seconds to wait, or None where another try is no use. Where
        that is more than a minute, there is none either.

    Returns
    -------
    object

    Raises
    ------
    Exception
        What the last try raised, with a note of how many there were.
    """
    for done in range(retries + 1):
        try:
            return call()
        except Exception as error:
            pause = pause_of(error)
            if pause is None or pause > _LONGEST_WAIT:
                raise
            if done == retries:
                if retries:
                    error.add_note(f"This was try {retries + 1} of {retries + 1}.")
                raise
        time.sleep(max(pause, min(backoff * 2**done, _LONGEST_WAIT) * random.uniform(0.75, 1)))


def pause_after(retry_on):
    """A `pause_of` for errors of the types `retry_on`, but for those that carry an HTTP status that will not pass.

    Parameters
    ----------
    retry_on : type or tuple of type
        Types of exceptions.

    Returns
    -------
    callable
    """
    types = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in types):
        raise TypeError(f"retry_on={retry_on!r} is neither a type of exceptions nor a tuple of such")

    def pause_of(error):
        if not isinstance(error, retry_on):
            return None
        response = getattr(error, "response", None)  # of requests and httpx; `code` is that of urllib
        status = getattr(response, "status_code", getattr(error, "code", None))
        return 0.0 if not isinstance(status, int) or may_pass(status) else None

    return pause_of


def may_pass(status):
    """Whether an HTTP status says that the same request may succeed later."""
    return status in _PASSING_STATUS


def call_with_timeout(call, timeout):
    """The result of ``call()``, or TimeoutError where it takes longer than `timeout` seconds.

    The call then goes on in its thread, which nobody can stop, until it returns; the thread does not keep the
    interpreter from exiting.

    Parameters
    ----------
    call : callable
        Takes no arguments.
    timeout : float or None
        Seconds; None calls it right here.

    Returns
    -------
    object
    """
    if timeout is None:
        return call()
    outcome = Future()

    def work():
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
    try:
        return outcome.result(timeout)
    except TimeoutError:
        if outcome.done():  # the call itself raised it, or made it at the last moment
            return outcome.result()
        raise TimeoutError(f"no answer within {timeout:g} seconds") from None
