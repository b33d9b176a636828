"""Calls to other services, with a timeout, and with retries if a failure may be temporary."""

import random
import threading
import time
from concurrent.futures import Future
from contextvars import copy_context

_LONGEST_WAIT = 60.0  # seconds between two tries
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}  # of HTTP: too slow, too busy, not yet available


def call_with_retries(call, *, retries, backoff, pause_of):
    """Return the result of ``call()``, which is repeated if its failure may be temporary.

    The wait is `backoff` seconds before the first retry, and doubles before each further one. A random part of up to a
    quarter is subtracted, so that many callers that failed together do not retry together.

    Parameters
    ----------
    call : callable
        Takes no arguments.
    retries : int
        Number of times that a failed call is repeated.
    backoff : float
        Seconds to wait before the first retry.
    pause_of : callable
        Takes the exception, and returns the minimum number of seconds to wait, or None if a retry is useless. If it
        returns more than a minute, there is no retry either.

    Returns
    -------
    object

    Raises
    ------
    Exception
        The exception of the last try, with a note on the number of tries.
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
    """Return a `pause_of` that retries errors of the types `retry_on`, except those with a permanent HTTP status.

    Parameters
    ----------
    retry_on : type or tuple of type
        Types of exceptions.

    Returns
    -------
    callable
    """
    types = retry_on
    if not isinstance(types, tuple):
        types = (types,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in types):
        raise TypeError(f"expected an exception type, or a tuple of exception types, as retry_on; got {retry_on!r}")

    def pause_of(error):
        if not isinstance(error, retry_on):
            return None
        response = getattr(error, "response", None)  # of requests and httpx; urllib has `code`
        status = getattr(response, "status_code", getattr(error, "code", None))
        if isinstance(status, int) and not may_pass(status):
            return None
        return 0.0

    return pause_of


def may_pass(status):
    """Tell whether the same request may succeed later, from its HTTP status."""
    return status in _PASSING_STATUS


def call_with_timeout(call, timeout):
    """Return the result of ``call()``, or raise TimeoutError if it takes longer than `timeout` seconds.

    After a timeout, the call continues in its thread until it returns, because a thread cannot be stopped. The thread
    does not keep the interpreter from exiting.

    Parameters
    ----------
    call : callable
        Takes no arguments.
    timeout : float or None
        Seconds. If None, there is no limit, and the call is made in the present thread.

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
        if outcome.done():  # the call itself raised it, or returned at the last moment
            return outcome.result()
        raise TimeoutError(f"no answer within {timeout:g} seconds") from None
