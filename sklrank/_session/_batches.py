"""Batches of texts of similar length."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np


@dataclass
class Batch:
    """Outputs of a model for the rows of a batch.

    Attributes
    ----------
    indices : list of int
        Position of each text in the input.
    ids : list of ndarray
        Token ids of each text.
    attended : list of int
        Number of attended tokens of each text.
    outputs : list of ndarray
        The requested outputs, with one row per text, padded to the longest text.
    """

    indices: list
    ids: list
    attended: list
    outputs: list


def chunks(sizes, n_characters):
    """Yield lists of indices of texts of similar size, the longest texts first.

    Because the longest come first, texts that do not fit into memory fail at once, and no buffer grows twice.

    Parameters
    ----------
    sizes : sequence of int
        Length of each text in characters, which is roughly proportional to its length in tokens.
    n_characters : int
        Number of characters after which a list ends.

    Yields
    ------
    list of int
    """
    order = np.argsort(-np.asarray(sizes, dtype=np.int64), kind="stable").tolist()
    chunk, total = [], 0
    for index in order:
        chunk.append(index)
        total += sizes[index] + 32  # each text takes some time, even if it is short
        if total >= n_characters:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def plan(lengths, max_tokens, max_rows, multiple=1):
    """Yield the positions of the rows of each batch, the longest rows first.

    Parameters
    ----------
    lengths : sequence of int
        Number of tokens of each row.
    max_tokens : int
        Maximum number of tokens per batch, padding included. A row with more tokens is a batch by itself.
    max_rows : int
        Maximum number of rows per batch.
    multiple : int, default=1
        Number of tokens of which the padded length is a multiple.

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
    """Yield ``make(item)`` for each item. A thread makes the next one while the caller uses the last one.

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
    if second is None:  # a single query, as in a service, needs no thread
        yield make(first)
        return
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, second)
        made = make(first)
        while ahead is not None:
            yield made
            made, ahead = ahead.result(), None
            item = next(items, None)
            if item is not None:
                ahead = pool.submit(make, item)
        yield made


def in_threads(function, items, n_threads):
    """Yield each item with ``function(item)``, in order, computed in threads.

    Parameters
    ----------
    function : callable
    items : iterable
        An item is taken only when a thread is about to be free.
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
            if len(waiting) > n_threads:  # one more, which can start as soon as a thread is free
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()
