"""Texts of like length, run together."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np


@dataclass
class Batch:
    """What a model made of some rows.

    Attributes
    ----------
    indices : list of int
        Which texts they are.
    ids : list of ndarray
        The tokens of each.
    attended : list of int
        How many of them were attended to.
    outputs : list of ndarray
        What was asked for, one row a text, padded to the longest.
    """

    indices: list
    ids: list
    attended: list
    outputs: list


def chunks(sizes, n_characters):
    """Indices of texts of like size, the longest first, in lists of so many characters.

    The longest come first, so that what does not fit the memory fails at once, and no buffer grows twice.

    Parameters
    ----------
    sizes : sequence of int
        Length of each text in characters, which goes with that in tokens.
    n_characters : int

    Yields
    ------
    list of int
    """
    order = np.argsort(-np.asarray(sizes, dtype=np.int64), kind="stable").tolist()
    chunk, total = [], 0
    for index in order:
        chunk.append(index)
        total += sizes[index] + 32  # short texts take time, too
        if total >= n_characters:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def plan(lengths, max_tokens, max_rows, multiple=1):
    """Positions of rows in batches: longest first, so many tokens a batch, padding included.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each row.
    max_tokens : int
        Of a batch; a row that is longer is a batch of its own.
    max_rows : int
        Of a batch.
    multiple : int, default=1
        Batches are padded to a multiple of this.

    Yields
    ------
    list of int
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    start = 0
    while start < len(order):
        longest = -(-lengths[order[start]] // multiple) * multiple
        stop = start + max(1, min(max_rows, max_tokens // max(longest, 1)))
        yield order[start:stop]
        start = stop


def prefetched(make, items):
    """``make(item)`` of each item, the next one made in a thread while the last one is used.

    Parameters
    ----------
    make : callable
    items : iterator

    Yields
    ------
    object
    """
    first = next(items, None)
    if first is None:
        return
    second = next(items, None)
    if second is None:  # one query, as in a service: no thread
        yield make(first)
        return
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, second)
        made = make(first)
        while ahead is not None:
            yield made
            made = ahead.result()
            item = next(items, None)
            ahead = None if item is None else pool.submit(make, item)
        yield made


def in_threads(function, items, n_threads):
    """Each item with ``function(item)``, in order, worked on in threads.

    Parameters
    ----------
    function : callable
    items : iterable
        Taken as they are needed.
    n_threads : int

    Yields
    ------
    tuple of (item, result)
    """
    if n_threads <= 1:
        for item in items:
            yield item, function(item)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        waiting = deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > n_threads:  # one is ready to start as soon as a thread is free
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()
