"""Fusion: the lists of several systems united, normalized, combined and ranked.

The lists of a query become one table, a row a system and a column a document that any of them found, ordered by row
number; a cell holds the score, another table holds the rank, and NaN stands where the system did not find it::

    bm25   d7 9.1   d2 4.0                        d2    d5    d7
    dense  d5 0.8   d7 0.6             bm25      4.0   nan   9.1
                                       dense     nan   0.8   0.6

The tables of all queries stand side by side, in arrays of shape (n_systems, n_entries); query ``q`` has the entries
``indptr[q]:indptr[q + 1]``.
"""

import numpy as np

from sklrank._kernels._jit import kernel, part

_GAPS = (460316, 204585, 90927, 40412, 17961, 7983, 3548, 1577, 701, 301, 132, 57, 23, 10, 4, 1)  # Ciura's, and on


@part
def _bits(value):
    """Number of bits that `value` takes."""
    n = 0
    while value > 0:
        value >>= 1
        n += 1
    return n


@kernel
def unite(indptrs, offsets, rows, scores):
    """Unite the lists of several systems, query by query.

    System ``s`` has the entries ``offsets[s]:offsets[s + 1]`` of `rows` and `scores`, best first, and query ``q`` those
    between ``indptrs[s, q]`` and ``indptrs[s, q + 1]`` of them. Returns the bounds of the queries, the rows that any
    system found, ascending, and a score and a rank (from 1) for each system, NaN where it did not find the row. A row
    that stands twice in a list counts where it stands first.
    """
    n_systems, n_queries = indptrs.shape[0], indptrs.shape[1] - 1
    most = 0
    for q in range(n_queries):
        n = 0
        for s in range(n_systems):
            n += indptrs[s, q + 1] - indptrs[s, q]
        most = max(most, n)
    # A key holds the row above, and below it the place in the lists of the query laid end to end. Radix sort keeps
    # the order of equal digits, so that it need not look at the places, which ascend.
    shift = _bits(most)
    keys = np.empty(len(rows), dtype=np.int64)
    spare = np.empty(most, dtype=np.int64)
    counts = np.empty(2049, dtype=np.int64)
    indptr = np.zeros(n_queries + 1, dtype=np.int64)
    start = 0
    for q in range(n_queries):
        stop = start
        highest = 0
        for s in range(n_systems):
            for e in range(offsets[s] + indptrs[s, q], offsets[s] + indptrs[s, q + 1]):
                row = rows[e]
                highest = max(highest, row)
                keys[stop] = row << shift | (stop - start)
                stop += 1
        n = stop - start
        source, target = keys[start:stop], spare
        bits = _bits(highest)
        width = min(11, max(4, _bits(n) - 1))  # a pass costs n and the number of digits, so the two are kept alike
        n_passes = (bits + width - 1) // width
        width = (bits + n_passes - 1) // max(n_passes, 1)
        low = shift
        for _ in range(n_passes):
            counts[: (1 << width) + 1] = 0
            mask = (1 << width) - 1
            for i in range(n):
                counts[(source[i] >> low & mask) + 1] += 1
            for digit in range(1, mask + 1):
                counts[digit + 1] += counts[digit]
            for i in range(n):
                digit = source[i] >> low & mask
                target[counts[digit]] = source[i]
                counts[digit] += 1
            source, target = target, source
            low += width
        if n_passes % 2:
            for i in range(n):
                target[i] = source[i]
        n_distinct = 0
        previous = -1
        for i in range(start, stop):
            row = keys[i] >> shift
            n_distinct += row != previous
            previous = row
        indptr[q + 1] = indptr[q] + n_distinct
        start = stop

    found = np.empty(indptr[n_queries], dtype=np.int64)
    values = np.full((n_systems, len(found)), np.nan)
    ranks = np.full((n_systems, len(found)), np.nan)
    entry, stop = -1, 0
    for q in range(n_queries):
        start = stop
        for s in range(n_systems):
            stop += indptrs[s, q + 1] - indptrs[s, q]
        previous = -1
        s, left, right = 0, 0, 0  # the list that the place is in, and its bounds
        for i in range(start, stop):
            row = keys[i] >> shift
            place = keys[i] & ((1 << shift) - 1)
            if row != previous:
                entry += 1
                found[entry] = row
                previous = row
                s, left, right = 0, 0, indptrs[0, q + 1] - indptrs[0, q]
            while place >= right:
                s += 1
                left = right
                right += indptrs[s, q + 1] - indptrs[s, q]
            if np.isnan(ranks[s, entry]):
                values[s, entry] = scores[offsets[s] + indptrs[s, q] + place - left]
                ranks[s, entry] = place - left + 1
    return indptr, found, values, ranks


@kernel
def order_entries(indptr, rows, scores, depth, order, bounds):
    """Order the entries of each query by score, descending, then by row; keep the first `depth`.

    Writes the entries to `order` and the bounds of the queries in it to `bounds`. NaN is no score: such entries are
    left out.
    """
    most = 0
    for q in range(len(indptr) - 1):
        most = max(most, indptr[q + 1] - indptr[q])
    found = np.empty(most, dtype=np.int64)
    entries = np.empty(most, dtype=np.int64)
    values = np.empty(most)
    counts = np.empty(most + 1, dtype=np.int64)
    end = 0
    bounds[0] = 0
    for q in range(len(indptr) - 1):
        n = 0
        low, high = np.inf, -np.inf
        for e in range(indptr[q], indptr[q + 1]):
            s = scores[e]
            if s == s:
                found[n] = e
                n += 1
                low, high = min(low, s), max(high, s)
        # As many buckets as entries, of equal width, put nearly all in their places. What is left to do is for
        # Shell's sort: its last round where buckets are small, all of it where scores crowd into a few.
        span = high - low if -1e300 < low and high < 1e300 else 0.0
        spread = span > 1e-290
        scale = (n - 1) / span if spread else 0.0
        counts[: n + 1] = 0
        for i in range(n):
            counts[int((high - scores[found[i]]) * scale) + 1 if spread else 1] += 1
        largest = 0
        for i in range(n):
            largest = max(largest, counts[i + 1])
            counts[i + 1] += counts[i]
        for i in range(n):
            e = found[i]
            bucket = int((high - scores[e]) * scale) if spread else 0
            values[counts[bucket]] = scores[e]
            entries[counts[bucket]] = e
            counts[bucket] += 1
        for gap in _GAPS:
            for i in range(gap if gap == 1 or largest > 32 else n, n):
                value, e = values[i], entries[i]
                j = i
                while j >= gap and (
                    values[j - gap] < value or values[j - gap] == value and rows[entries[j - gap]] > rows[e]
                ):
                    values[j], entries[j] = values[j - gap], entries[j - gap]
                    j -= gap
                values[j], entries[j] = value, e
        n = min(n, depth)
        for i in range(n):
            order[end + i] = entries[i]
        end += n
        bounds[q + 1] = end
