"""Fusion: the lists of several systems united, normalized, combined and ranked.

The lists of a query become one table, with a row for each system and a column for each document that any system found,
ordered by row number. A cell holds the score, or NaN if the system did not find the document; another table holds the
ranks::

    bm25   d7 9.1   d2 4.0                        d2    d5    d7
    dense  d5 0.8   d7 0.6             bm25      4.0   nan   9.1
                                       dense     nan   0.8   0.6

The tables of all queries stand side by side, in arrays of shape (n_systems, n_entries); query ``q`` has the entries
``indptr[q]:indptr[q + 1]``.
"""

import numpy as np

from sklrank._kernels._jit import kernel, part

_DIGIT = 11  # bits of a digit in radix sort
_SHORT = 1 << 10  # entries of a list that is sorted by buckets
_BLOCK = 64  # entries between two checks whether a list is still in order


@part
def _bits(value):
    """Return the number of bits of `value`."""
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
    system found, ascending, and a score and a rank (from 1) for each system, NaN if it did not find the row. If a list
    holds a row twice, the first position counts.
    """
    n_systems, n_queries = indptrs.shape[0], indptrs.shape[1] - 1
    most = 0
    for q in range(n_queries):
        n = 0
        for s in range(n_systems):
            n += indptrs[s, q + 1] - indptrs[s, q]
        most = max(most, n)
    # The high bits of a key hold the row, the low bits the position in the joined lists of the query. Radix sort keeps
    # the order of equal digits, so that it need not sort by position, which ascends already.
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
        width = min(11, max(4, _bits(n) - 1))  # a pass costs n plus the number of digits, so the two are kept similar
        n_passes = (bits + width - 1) // width
        width = (bits + n_passes - 1) // max(n_passes, 1)
        low = shift
        for _ in range(n_passes):
            mask = (1 << width) - 1
            for digit in range(mask + 2):
                counts[digit] = 0
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
        s, left, right = 0, 0, 0  # the list that holds the position, and its bounds
        for i in range(start, stop):
            row = keys[i] >> shift
            position = keys[i] & ((1 << shift) - 1)
            if row != previous:
                entry += 1
                found[entry] = row
                previous = row
                s, left, right = 0, 0, indptrs[0, q + 1] - indptrs[0, q]
            while position >= right:
                s += 1
                left = right
                right += indptrs[s, q + 1] - indptrs[s, q]
            if np.isnan(ranks[s, entry]):
                values[s, entry] = scores[offsets[s] + indptrs[s, q] + position - left]
                ranks[s, entry] = position - left + 1
    return indptr, found, values, ranks


@part
def _sort_by_buckets(start, stop, rows, scores, given, found, buckets, counts, entries, values):
    """Write the entries of a list to `entries` by score, descending, and equal scores by row.

    Returns their number, or -1 if many scores are alike: then the list is not sorted. Buckets of equal width, two for
    each entry, put nearly all entries in their positions.
    """
    n = 0
    low, high = np.inf, -np.inf
    in_order = True
    for e in range(start, stop):
        s = np.float64(scores[e])
        if s == s:
            found[n], given[n] = e, s
            n += 1
            low, high = min(low, s), max(high, s)
        if len(rows) and e > start:
            in_order &= rows[e] > rows[e - 1]
    if not (-1e300 < low and high < 1e300 and high - low > 1e-290):
        return -1
    scale = (2 * n - 1) / (high - low)
    for i in range(2 * n + 1):
        counts[i] = 0
    for i in range(n):
        bucket = np.uint32((high - given[i]) * scale)
        buckets[i] = bucket
        counts[bucket + 1] += 1
    total, largest = np.uint32(0), np.uint32(0)
    for i in range(1, 2 * n + 1):
        count = counts[i]
        largest = max(largest, count)
        total += count
        counts[i] = total
    if largest > 32:
        return -1
    for i in range(n):
        position = counts[buckets[i]]
        counts[buckets[i]] += 1
        values[position], entries[position] = given[i], found[i]
    for i in range(1, n):  # insertion sort, which keeps the order of equal scores if rows ascend
        value = values[i]
        if values[i - 1] < value or not in_order and values[i - 1] == value:
            e = entries[i]
            j = i
            while j > 0 and (
                values[j - 1] < value or not in_order and values[j - 1] == value and rows[entries[j - 1]] > rows[e]
            ):
                values[j], entries[j] = values[j - 1], entries[j - 1]
                j -= 1
            values[j], entries[j] = value, e
    return n


@kernel
def order_entries(indptr, rows, scores, depth, order, ranked, bounds):
    """Order the entries of each query by score, descending, then by row; keep the first `depth`.

    Writes the entries to `order`, their scores to `ranked` and the bounds of the queries in them to `bounds`. Entries
    with the score NaN are left out. Without `rows` (an empty array), equal scores keep their order.

    A list that is in order, or in reverse order, is copied. A short list is sorted by buckets.
    In any other list, the distance of each score from the highest becomes an integer of two digits; a radix sort by
    them leaves little work to an insertion sort. If most scores have few of these integers, because of ties or
    outliers, a radix sort by all bits of row and score replaces both.
    """
    most = 0
    for q in range(len(indptr) - 1):
        most = max(most, indptr[q + 1] - indptr[q])
    given = np.empty(most)
    bits = given.view(np.uint64)
    words = np.empty(most, dtype=np.uint64)
    keys = np.empty(most, dtype=np.int64)  # the low 32 bits of a key hold the position of the entry in its list
    spare = np.empty(most, dtype=np.int64)
    lower = np.empty((1 << _DIGIT) + 1, dtype=np.uint32)
    upper = np.empty((1 << _DIGIT) + 1, dtype=np.uint32)
    buckets = np.empty(_SHORT, dtype=np.uint32)
    counts = np.empty(2 * _SHORT + 1, dtype=np.uint32)
    entries = np.empty(_SHORT, dtype=np.int64)
    values = np.empty(_SHORT)
    has_rows = len(rows) > 0
    end = 0
    bounds[0] = 0
    for q in range(len(indptr) - 1):
        start, stop = indptr[q], indptr[q + 1]
        falls = rises = start < stop and scores[start] == scores[start]
        for left in range(start + 1, stop, _BLOCK):
            size = min(_BLOCK, stop - left)
            n_falls, n_rises = 0, 0
            for i in range(size):  # without a branch
                e = np.uint64(left + i)
                before = e - np.uint64(1)
                n_rises += scores[e] > scores[before]
                if has_rows:
                    equal = (scores[e] == scores[before]) & (rows[e] > rows[before])
                    n_falls += (scores[e] < scores[before]) | equal
                else:
                    n_falls += scores[e] <= scores[before]
            falls &= n_falls == size
            rises &= n_rises == size
            if not (falls or rises):
                break
        if falls or rises:
            n = min(stop - start, depth)
            if falls:
                for i in range(n):
                    order[end + i], ranked[end + i] = start + i, scores[start + i]
            else:
                for i in range(n):
                    order[end + i], ranked[end + i] = stop - 1 - i, scores[stop - 1 - i]
            end += n
            bounds[q + 1] = end
            continue

        if stop - start <= _SHORT:
            n = _sort_by_buckets(start, stop, rows, scores, given, keys, buckets, counts, entries, values)
            if n >= 0:
                n = min(n, depth)
                for i in range(n):
                    order[end + i], ranked[end + i] = entries[i], scores[entries[i]]
                end += n
                bounds[q + 1] = end
                continue

        n = 0
        low, high = np.inf, -np.inf
        for position in range(stop - start):
            s = np.float64(scores[start + position]) + 0.0  # -0.0 becomes 0.0
            given[position] = s
            keys[n] = position
            n += s == s
            low = s if s < low else low
            high = s if s > high else high

        width = min(_DIGIT, max(1, _bits(n) - 1))
        mask = (1 << width) - 1
        span = 0.0
        if -1e300 < low and high < 1e300:
            span = high - low
        crowded = span <= 1e-290
        if not crowded:
            scale = ((1 << 2 * width) - 1) / span
            for digit in range(mask + 2):
                lower[digit] = upper[digit] = 0
            for i in range(n):
                position = keys[i]
                key = np.int64((high - given[position]) * scale)
                lower[(key & mask) + 1] += np.uint32(1)
                upper[(key >> width) + 1] += np.uint32(1)
                spare[i] = key << 32 | position
            below, above, largest = np.uint32(0), np.uint32(0), np.uint32(0)
            for digit in range(1, mask + 2):
                largest = max(largest, upper[digit])
                below += lower[digit]
                above += upper[digit]
                lower[digit], upper[digit] = below, above
            crowded = largest > max(32, n >> 1)
        if not crowded:
            for i in range(n):
                digit = spare[i] >> 32 & mask
                keys[lower[digit]] = spare[i]
                lower[digit] += np.uint32(1)
            for i in range(n):
                digit = keys[i] >> (32 + width)
                position = keys[i] & 0xFFFFFFFF
                new = end + upper[digit]
                order[new], ranked[new] = start + position, scores[start + position]
                upper[digit] += np.uint32(1)
            moves = 0
            for i in range(end + 1, end + n):
                value, e = ranked[i], order[i]
                j = i
                while j > end and (
                    ranked[j - 1] < value or has_rows and ranked[j - 1] == value and rows[order[j - 1]] > rows[e]
                ):
                    ranked[j], order[j] = ranked[j - 1], order[j - 1]
                    j -= 1
                ranked[j], order[j] = value, e
                moves += i - j
                crowded = moves > 4 * n
                if crowded:
                    break
        if crowded:  # by row, then by score: radix sort keeps the order of equal digits
            n = 0
            for position in range(stop - start):
                keys[n] = position
                n += given[position] == given[position]
            source, target = keys, spare
            for by_score in range(0 if has_rows else 1, 2):
                least = np.uint64(0xFFFFFFFFFFFFFFFF)
                for i in range(n):
                    position = source[i]
                    if by_score:  # an integer that rises as the score falls
                        word = bits[position]
                        word = word if word >> np.uint64(63) else word ^ np.uint64(0x7FFFFFFFFFFFFFFF)
                    else:
                        word = np.uint64(rows[start + position])
                    words[position] = word
                    least = min(least, word)
                varying = np.uint64(0)
                for i in range(n):
                    words[source[i]] -= least
                    varying |= words[source[i]]
                width = np.uint64(min(_DIGIT, max(4, _bits(n))))
                digits = (np.uint64(1) << width) - np.uint64(1)
                shift = np.uint64(0)
                while varying:  # passes over the bits that differ
                    while not varying & np.uint64(1):
                        varying >>= np.uint64(1)
                        shift += np.uint64(1)
                    for digit in range(digits + np.uint64(2)):
                        lower[digit] = 0
                    for i in range(n):
                        lower[(words[source[i]] >> shift & digits) + np.uint64(1)] += np.uint32(1)
                    for digit in range(np.uint64(1), digits + np.uint64(1)):
                        lower[digit] += lower[digit - np.uint64(1)]
                    for i in range(n):
                        digit = words[source[i]] >> shift & digits
                        target[lower[digit]] = source[i]
                        lower[digit] += np.uint32(1)
                    source, target = target, source
                    varying >>= width
                    shift += width
            for i in range(n):
                order[end + i], ranked[end + i] = start + source[i], scores[start + source[i]]
        end += min(n, depth)
        bounds[q + 1] = end


@kernel
def add_reciprocal_ranks(ranks, constant, weight, totals, errors, counts):
    """Add the score of one system to each entry: ``weight / (constant + rank)``.

    The rounding errors of the additions are added to `errors` (Knuth's TwoSum), so that documents with the same ranks
    in another order of systems tie. The loop has no branches, so that it uses vector instructions.
    """
    for e in range(len(ranks)):
        rank = ranks[e]
        found = rank == rank
        value = weight * np.divide(1.0, constant + rank) if found else 0.0
        total = totals[e]
        new = total + value
        added = new - total
        errors[e] += (total - (new - added)) + (value - added)
        totals[e] = new
        counts[e] += found


@kernel
def add_values(indptr, values, absent, weight, totals, errors, counts, mass):
    """Add the value of one system to each entry, times a weight.

    If the system did not find an entry, ``absent[q]`` is added, or nothing if that is NaN. `counts` and `mass` add up
    the systems that found an entry, and their weights.
    """
    for q in range(len(indptr) - 1):
        otherwise = 0.0
        if absent[q] == absent[q]:
            otherwise = absent[q] * weight
        for e in range(indptr[q], indptr[q + 1]):
            value = values[e]
            found = value == value
            value *= weight
            value = value if found else otherwise
            total = totals[e]
            new = total + value
            added = new - total
            errors[e] += (total - (new - added)) + (value - added)
            totals[e] = new
            counts[e] += found
            mass[e] += weight if found else 0.0


@kernel
def describe(indptr, scores, out):
    """Compute the length, lowest and highest score, mean, deviation and norm of each list.

    NaN does not count, and an infinite score counts as the nearest finite score. Mean and (population) deviation are
    those of the scores moved to the range from 0 to 1, and the norm is that of the scores divided by the largest
    magnitude, so that they do not overflow. A constant list has the mean 0. The values of an empty list are 0.
    """
    most = 0
    for q in range(len(indptr) - 1):
        most = max(most, indptr[q + 1] - indptr[q])
    found = np.empty(most)
    for q in range(len(indptr) - 1):
        n = 0
        for e in range(indptr[q], indptr[q + 1]):  # without a branch, which the processor could not predict
            found[n] = scores[e]
            n += scores[e] == scores[e]
        if n == 0:
            for i in range(6):
                out[q, i] = 0.0
            continue
        low, high = np.inf, -np.inf
        lowest, highest = 1.0, 0.0  # if all scores are infinite
        for i in range(n):
            s = found[i]
            if -np.inf < s < np.inf:
                low, high = min(low, s), max(high, s)
            elif s > 0:
                highest = 1.0
            else:
                lowest = 0.0
        if low > high:
            low, high = lowest, highest
        half = low * 0.5
        span = high * 0.5 - half
        largest = max(abs(low), abs(high))
        per_span, per_largest = 0.0, 0.0
        if span > 1e-300:
            per_span = 1.0 / span
        if largest > 1e-300:
            per_largest = 1.0 / largest
        total, squares = 0.0, 0.0
        for i in range(n):
            s = min(max(found[i], low), high)
            found[i] = (s * 0.5 - half) * per_span
            total += found[i]
            squares += (s * per_largest) ** 2
        mean = total / n
        deviation = 0.0
        for i in range(n):
            deviation += (found[i] - mean) ** 2
        out[q, 0], out[q, 1], out[q, 2] = n, low, high
        out[q, 3], out[q, 4], out[q, 5] = mean, np.sqrt(deviation / n), np.sqrt(squares)


@kernel
def rescale(indptr, scores, low, high, shift, scale, out):
    """Clip the scores of each list to `low` and `high`, and compute ``(score / 16 - shift) / scale``; NaN stays NaN.

    Scores are divided by 16, because the range of a list, or six deviations, may exceed the largest number.
    """
    for q in range(len(indptr) - 1):
        bottom, top, origin, unit = low[q], high[q], shift[q], scale[q]
        for e in range(indptr[q], indptr[q + 1]):
            s = scores[e]
            s = bottom if s < bottom else s
            s = top if s > top else s
            out[e] = np.divide(s * 0.0625 - origin, unit)


@kernel
def weighted_median(indptr, values, absent, weights, out):
    """Compute the weighted median of each entry; `absent` replaces a missing value unless it is NaN, too.

    Half of the weight lies on either side of the median. If two values share the middle, it is their mean.
    """
    n_systems = len(weights)
    row = np.empty(n_systems)
    weight = np.empty(n_systems)
    for q in range(len(indptr) - 1):
        for e in range(indptr[q], indptr[q + 1]):
            n = 0
            total = 0.0
            for s in range(n_systems):
                value = values[s, e]
                if value != value:
                    value = absent[s, q]
                if value == value:
                    i = n
                    while i > 0 and row[i - 1] > value:
                        row[i], weight[i] = row[i - 1], weight[i - 1]
                        i -= 1
                    row[i], weight[i] = value, weights[s]
                    total += weights[s]
                    n += 1
            if n == 0:
                out[e] = np.nan
                continue
            i, below = 0, weight[0]
            while i < n - 1 and below < total * (0.5 - 1e-12):
                i += 1
                below += weight[i]
            out[e] = row[i]
            if i < n - 1 and below <= total * (0.5 + 1e-12):
                out[e] = row[i] * 0.5 + row[i + 1] * 0.5


@part
def _margin(ranks, weights, i, j):
    """Return the weight of the systems that rank i before j, minus that of the systems that rank j before i."""
    margin = 0.0
    for s in range(len(weights)):
        if ranks[s, i] < ranks[s, j]:
            margin += weights[s]
        elif ranks[s, j] < ranks[s, i]:
            margin -= weights[s]
    return margin


@kernel
def condorcet(indptr, ranks, weights, order, out):
    """Order the entries of each query by majority, starting from `order`; ties keep this order.

    The rank of an entry that a system did not find is infinite. In the result of the merge sort, neighbors were
    compared directly, and no entry lost to the next. Writes the number of entries minus the position.
    """
    most = 0
    for q in range(len(indptr) - 1):
        most = max(most, indptr[q + 1] - indptr[q])
    spare = np.empty(most, dtype=np.int64)
    tie = -1e-12 * weights.sum()
    for q in range(len(indptr) - 1):
        source, target = order[indptr[q] : indptr[q + 1]], spare
        n = len(source)
        width = 1
        while width < n:
            for start in range(0, n, 2 * width):
                left, right = start, min(start + width, n)
                middle, stop = right, min(start + 2 * width, n)
                for i in range(start, stop):
                    takes_left = left < middle
                    if takes_left and right < stop:
                        takes_left = _margin(ranks, weights, source[left], source[right]) >= tie
                    if takes_left:
                        target[i] = source[left]
                        left += 1
                    else:
                        target[i] = source[right]
                        right += 1
            source, target = target, source
            width *= 2
        for i in range(n):
            out[source[i]] = n - i


@kernel
def copeland(indptr, ranks, weights, out):
    """Count the entries of the query that a majority ranks below each entry; a tie counts one half."""
    most = 0
    for q in range(len(indptr) - 1):
        most = max(most, indptr[q + 1] - indptr[q])
    margins = np.empty(most)
    tie = 1e-12 * weights.sum()
    for q in range(len(indptr) - 1):
        start, stop = indptr[q], indptr[q + 1]
        for i in range(start, stop):
            for j in range(stop - start):
                margins[j] = 0.0
            for s in range(len(weights)):
                rank, weight = ranks[s, i], weights[s]
                for j in range(start, stop):
                    vote = weight if rank < ranks[s, j] else 0.0
                    margins[j - start] += vote - (weight if ranks[s, j] < rank else 0.0)
            points = -0.5  # it ties with itself
            for j in range(stop - start):
                if margins[j] > tie:
                    points += 1.0
                elif margins[j] >= -tie:
                    points += 0.5
            out[i] = points
