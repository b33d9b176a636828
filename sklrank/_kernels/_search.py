"""Exact top-k search over inverted lists.

The terms of a query are ordered from rare to frequent, and scores are added in this order. A search reads list after
list until `rest`, the most that the remaining lists can add, is less than `theta`, the k-th best sum so far: then no
document that is not a candidate yet can enter the ranking. The candidates that can still reach `theta` are looked up in
the remaining lists.

    rare ......................................... frequent
    |-- accumulated: all documents --|-- looked up: candidates --|
                                     ^ split, as soon as rest < theta

Accumulation goes by windows of documents, whose sums fit into the cache of the processor. A window with few postings
lists the documents that it touched; a window with many postings adds to all sums, and then scans them by blocks. Sums
start at -0.0, which no sum of impacts equals, so that a document of score 0 differs from a document that was not
touched. For the terms of very long lists, the look-up first reads one byte per document, an upper bound of the impact,
and then looks up only the few candidates that are left exactly.

The plain numbers in `search_pruned` and its parts (when to stop accumulating, when to raise `theta`, how many
candidates to keep) were found by measurements, and affect the speed only: every choice gives the same ranking to the
last bit. The exceptions are `slack` and the margins of `_raise`, which cover the rounding of sums and bounds.
"""

import numpy as np

from sklrank._kernels._jit import kernel, part

_WINDOW = 1 << 16  # documents accumulated at a time
_BLOCK = 64  # sums that are scanned together
_FREQUENT = 16  # a term has codes if more than one of this number of documents holds it
_MOST_CODED = 256  # largest number of terms with codes
_IN_ROWS = 6  # a term has a row of impacts, if there are rows, if more than one of this number of documents holds it
GROUP = 16  # sums whose largest one `search_rows` compares
_STEPS = 254.9  # a little less than 255, so that rounding never exceeds a byte
_MOST_TERMS = 128  # largest number of terms of a query whose codes are added up
_BUCKETS = 2048
_UNTOUCHED = np.int32(-(2**31))  # the bits of -0.0
_NO_KEY = np.int64(-(2**63))  # less than the key of any document


@part
def _code(impact, largest):
    """Return the impact of a posting in steps of 1 / `_STEPS` of the largest impact of the term, rounded up."""
    return np.int64(np.ceil(impact * _STEPS / largest))


@kernel
def fill_codes(terms, term_indptr, docs, impacts, maxima, code_of, codes):
    """Set the codes of those `terms` that have codes; see `code_table`."""
    for i in range(terms.size):
        t = terms[i]
        row = code_of[t]
        if row >= 0:
            codes[row] = 0
            if maxima[t] > 0:
                for p in range(term_indptr[t], term_indptr[t + 1]):
                    codes[row, docs[p]] = np.uint8(_code(impacts[p], maxima[t]))


@kernel
def fill_rows(terms, term_indptr, docs, impacts, row_of, rows):
    """Set the rows of those `terms` that have a row; see `row_table`."""
    for i in range(terms.size):
        t = terms[i]
        row = row_of[t]
        if row >= 0:
            for p in range(term_indptr[t], term_indptr[t + 1]):
                rows[row, docs[p]] = impacts[p]


def order_terms(indptr, terms, weights, sizes):
    """Merge the repeated terms of each query, and order the terms: rarest first, then by number.

    Searches add scores in this order. It depends only on the query and on `sizes`, the document frequencies in the
    whole index. Therefore scores are the same to the last bit for every order of the words, and for every division of
    the documents into segments. Terms without documents are left out.

    Parameters
    ----------
    indptr : ndarray of shape (n_queries + 1,), dtype=int64
    terms : ndarray of dtype uint32
    weights : ndarray of dtype float32
    sizes : ndarray of shape (n_terms,), dtype=int64

    Returns
    -------
    indptr, terms, weights
    """
    queries = np.arange(indptr.size)
    owners = queries[:-1].repeat(indptr[1:] - indptr[:-1])
    ranks = (sizes[terms] << 32) | terms
    order = _by_owner_and_rank(owners, ranks)
    order = order[ranks[order] >= 1 << 32]
    ranks, owners = ranks[order], owners[order]
    new = np.ones(order.size, dtype=bool)
    new[1:] = (ranks[1:] != ranks[:-1]) | (owners[1:] != owners[:-1])
    first = new.nonzero()[0]
    merged = weights[order]
    if first.size < order.size:
        repeated, merged = merged, np.zeros(first.size, dtype=np.float32)
        with np.errstate(over="ignore"):  # an infinite weight is refused with the scores
            np.add.at(merged, new.cumsum() - 1, repeated)
    return owners[first].searchsorted(queries), terms[order[first]], merged


def _by_owner_and_rank(owners, ranks):
    """Return `np.lexsort` of both, by a single sort of numbers if there are many and 63 bits hold both keys."""
    if owners.size > 256:
        n_bits = int((ranks & 0xFFFFFFFF).max()).bit_length()
        n_high = int(ranks.max() >> 32).bit_length()
        if n_bits + n_high + int(owners[-1]).bit_length() < 64:
            keys = (((owners << n_high) | (ranks >> 32)) << n_bits) | (ranks & 0xFFFFFFFF)
            return keys.argsort(kind="stable")
    return np.lexsort((ranks, owners))


def row_table(term_indptr, n_documents):
    """Make a table for the impacts of frequent terms as rows of all documents, which `fill_rows` sets.

    Returns
    -------
    row_of : ndarray of shape (n_terms,), dtype=int32
        Row of each term in `rows`, -1 for terms without a row.
    rows : ndarray of shape (n_frequent_terms, n_documents), dtype=float32
    """
    frequent = np.diff(term_indptr) * _IN_ROWS > n_documents
    row_of = np.where(frequent, np.cumsum(frequent) - 1, -1).astype(np.int32)
    return row_of, np.full((np.count_nonzero(frequent), n_documents), -0.0, dtype=np.float32)


def code_table(term_indptr, n_documents, empty=np.empty):
    """Make a table of one byte per document for each frequent term, which `fill_codes` sets.

    The byte of a document is its impact in steps of 1 / `_STEPS` of the largest impact of the term, rounded up. With
    it, a search bounds a score without finding the document in a long list.

    Parameters
    ----------
    term_indptr : ndarray of shape (n_terms + 1,), dtype=int64
    n_documents : int
    empty : callable, default=numpy.empty
        Function from a shape and a type to an array for the codes.

    Returns
    -------
    code_of : ndarray of shape (n_terms,), dtype=int32
        Row of each term in `codes`, -1 for terms without codes.
    codes : ndarray of shape (n_frequent_terms, n_documents), dtype=uint8
    """
    sizes = np.diff(term_indptr)
    frequent = sizes * _FREQUENT > n_documents
    if np.count_nonzero(frequent) > _MOST_CODED:
        frequent &= sizes > np.partition(sizes, -_MOST_CODED)[-_MOST_CODED]
    code_of = np.where(frequent, np.cumsum(frequent) - 1, -1).astype(np.int32)
    return code_of, empty((np.count_nonzero(frequent), n_documents), np.uint8)


def workspace(n_documents, k):
    """Make scratch arrays for searches, for one thread at a time; a search leaves them as it found them.

    Returns
    -------
    sums : ndarray of shape (n_documents,), dtype=float32
        For `search_all`.
    accumulators, rows, values, bounds, histogram : ndarray
        For `search_pruned`, and `rows` also for `search_all`.
    keys : ndarray of dtype int64
        For both.
    """
    sums = np.full(n_documents, -0.0, dtype=np.float32)
    accumulators = np.full(_WINDOW, -0.0, dtype=np.float32)
    rows = np.empty(n_documents + 1, dtype=np.uint32)
    values = np.empty(n_documents + 1, dtype=np.float32)
    bounds = np.empty(n_documents + 1, dtype=np.float32)
    histogram = np.zeros(_BUCKETS, dtype=np.int32)
    keys = np.empty(2 * k + 1024, dtype=np.int64)
    return sums, accumulators, rows, values, bounds, histogram, keys


@part
def _key(bits, d):
    """Return a number that is larger for a larger score, given the bits of its float32, then for a lower row."""
    return (np.int64(bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32) | (0xFFFFFFFF ^ np.int64(d))


@part
def _score_of(key):
    """Return the score of a key, or 0 if it is below 0 or there is no key."""
    # The scores of a segment that is pruned are at least 0; their bits are ordered like the scores.
    return np.int32(max(key >> 32, np.int64(0))).view(np.float32)


@part
def _partition(keys, n, k):
    """Move the k largest of n different keys to the front; return the smallest of them."""
    low = 0
    high = n - 1
    while low < high:
        a = keys[low]
        b = keys[(low + high) >> 1]
        c = keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i = low
        j = high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    smallest = keys[0]
    for i in range(1, k):
        smallest = min(smallest, keys[i])
    return smallest


@kernel
def _bucket(values, n, k, lo, scale, histogram):
    """Return the highest of `_BUCKETS` equal ranges from `lo` such that it and the ranges above hold k values."""
    for b in range(histogram.size):
        histogram[b] = 0
    last = np.int32(histogram.size - 1)
    for j in range(n):
        b = np.int32(max((values[j] - lo) * scale, np.float32(0)))
        histogram[np.uint32(min(b, last))] += 1
    b = histogram.size - 1
    c = histogram[b]
    while c < k and b > 0:
        b -= 1
        c += histogram[b]
    return b


@kernel
def _raise(values, n, k, theta, top, histogram):
    """Return a lower bound, at least theta, of the k-th largest of n > k values that are at most top."""
    if not theta < top:
        return theta
    scale = np.float32((_BUCKETS - 2) / (top - theta))
    b = _bucket(values, n, k, theta, scale, histogram)
    return max(theta, np.float32(theta + b / scale * (1 - 1e-5) - 1e-6 * top))


@kernel
def _keep(rows, values, n, least):
    """Keep only the candidates with a value of at least `least`; return their number."""
    m = 0
    for j in range(n):
        d = rows[j]
        v = values[j]
        rows[m] = d
        values[m] = v
        m += v >= least
    return m


@part
def _accumulate(
    q_terms,
    q_weights,
    begin,
    end,
    term_indptr,
    docs,
    impacts,
    shifts,
    skip_indptr,
    skips,
    n_documents,
    mask,
    masks,
    k,
    theta,
    rest,
    top,
    accumulators,
    bits,
    rows,
    values,
    cursors,
    histogram,
):
    """Sum the lists from `begin` to `end` of one query, a window of documents at a time.

    Candidates, the documents that can still reach the k-th best sum, are written to `rows` and `values`. Returns their
    number and the raised `theta`. `accumulators` and `bits` are the same memory, all `_UNTOUCHED` before and after.
    """
    n = np.int64(0)
    limit = 4 * k + 2048
    least = np.float32(theta - rest)
    floor = max(least.view(np.int32), np.int32(0))  # the bits of floats of at least 0 are ordered like the floats
    blocks = bits.reshape(-1, _BLOCK)
    for i in range(begin, end):
        cursors[i - begin] = term_indptr[q_terms[i]]
    window = 0
    while window < n_documents:
        edge = window + _WINDOW
        size = 0
        for i in range(begin, end):
            t = q_terms[i]
            stop = term_indptr[t + 1]
            if edge < n_documents:
                if shifts[t] <= 16:
                    stop = term_indptr[t] + skips[skip_indptr[t] + (edge >> shifts[t])]
                else:
                    p = cursors[i - begin]
                    while p < stop and docs[p] < edge:
                        p += 1
                    stop = p
            size += stop - cursors[i - begin]
            cursors[end - begin + i - begin] = stop
        offset = np.uint32(window)
        width = min(n_documents - window, _WINDOW)
        fresh = n
        if size * 3 < width:
            # No branch: each document is written, but only counted if it was not touched before.
            m = n
            for i in range(begin, end):
                w = q_weights[i]
                for p in range(cursors[i - begin], cursors[end - begin + i - begin]):
                    d = docs[p]
                    o = d - offset
                    rows[m] = d
                    m += bits[o] == _UNTOUCHED
                    accumulators[o] += w * impacts[p]
            for j in range(n, m):
                d = rows[j]
                o = d - offset
                v = accumulators[o]
                bits[o] = _UNTOUCHED
                rows[n] = d
                values[n] = v
                n += v >= least
        else:
            for i in range(begin, end):
                w = q_weights[i]
                for p in range(cursors[i - begin], cursors[end - begin + i - begin]):
                    accumulators[docs[p] - offset] += w * impacts[p]
            for x in range((width + _BLOCK - 1) // _BLOCK):
                largest = _UNTOUCHED
                for y in range(_BLOCK):
                    largest = max(largest, blocks[x, y])
                if largest >= floor:
                    o = x * _BLOCK
                    for y in range(_BLOCK):
                        rows[n] = offset + np.uint32(o + y)
                        values[n] = accumulators[o + y]
                        n += blocks[x, y] >= floor
            for o in range((width + _BLOCK - 1) // _BLOCK * _BLOCK):
                bits[o] = _UNTOUCHED
        for i in range(begin, end):
            cursors[i - begin] = cursors[end - begin + i - begin]
        if mask >= 0:
            m = fresh
            for j in range(fresh, n):
                d = rows[j]
                rows[m] = d
                values[m] = values[j]
                m += masks[mask, d] != 0
            n = m
        if n > limit:
            theta = _raise(values, n, k, theta, top, histogram)
            least = np.float32(theta - rest)
            floor = max(least.view(np.int32), np.int32(0))
            n = _keep(rows, values, n, least)
            limit = max(limit, 2 * n)
        window = edge
    return n, theta


@kernel
def _find(t, d, term_indptr, docs, shifts, skip_indptr, skips):
    """Return the position of d in the list of t, or -1."""
    first = term_indptr[t]
    b = skip_indptr[t] + (np.int64(d) >> np.int64(shifts[t]))
    p = first + skips[b]
    e = first + skips[b + 1]
    while p < e and docs[p] < d:
        p += 1
    if p < e and docs[p] == d:
        return p
    return np.int64(-1)


@part
def _place(places, base, d):
    """Return the position of a document in the whole index."""
    if places.size:
        return np.int64(places[d])
    return base + np.int64(d)


@kernel
def _resume(out_keys, q, found, k, keys):
    """Copy the keys that a query has so far to `keys`; return the smallest one if there are k, else `_NO_KEY`."""
    smallest = np.int64(0x7FFFFFFFFFFFFFFF)
    for j in range(found):
        keys[j] = out_keys[q, j]
        smallest = min(smallest, keys[j])
    if found < k:
        return _NO_KEY
    return smallest


@kernel
def search_all(
    queries, q_indptr, q_terms, q_weights, term_indptr, docs, impacts, bias, masks, mask_of, k, base, places, sums,
    rows, keys, out_keys, out_counts,
):  # fmt: skip
    """Rank the documents of one segment for some queries, by scoring all documents that hold a term of the query.

    This search is for few postings, for scores with a bias, and for negative weights or impacts, which no other search
    takes. The other parameters are as in `search_pruned`.

    Parameters
    ----------
    bias : ndarray of shape (n_documents,) or (0,), dtype=float32
        Score of each document per unit of weight of the query; it may be negative.
    sums : ndarray of shape (n_documents,), dtype=float32
        From `workspace`.
    """
    bits = sums.view(np.int32)
    for i in range(queries.size):
        q = queries[i]
        mask = mask_of[q] if mask_of.size else -1
        total = np.float32(0.0)
        n = 0
        for j in range(q_indptr[q], q_indptr[q + 1]):
            t = q_terms[j]
            w = q_weights[j]
            total += w
            # No branch: each document is written, but only counted if it was not touched before.
            for p in range(term_indptr[t], term_indptr[t + 1]):
                d = docs[p]
                rows[n] = d
                n += bits[d] == _UNTOUCHED
                sums[d] += w * impacts[p] + np.float32(0.0)  # -0.0, which would leave a sum untouched, becomes 0.0
        found = out_counts[q]
        smallest = _resume(out_keys, q, found, k, keys)
        for j in range(n):
            d = rows[j]
            if bias.size:
                sums[d] += total * bias[d]
            key = _key(bits[d], _place(places, base, d))
            bits[d] = _UNTOUCHED
            if key > smallest and (mask < 0 or masks[mask, d]):
                keys[found] = key
                found += 1
            if found > k and (found == keys.size or j == n - 1):
                smallest = _partition(keys, found, k)
                found = np.int64(k)
        for j in range(found):
            out_keys[q, j] = keys[j]
        out_counts[q] = found


@kernel
def search_rows(
    queries, q_indptr, q_terms, q_weights, term_indptr, docs, impacts, row_of, rows, masks, mask_of, k, base, places,
    sums, keys, out_keys, out_counts,
):  # fmt: skip
    """Rank the documents of one segment for some queries, by scoring all documents.

    This search is for queries of many frequent terms. Weights and impacts are at least 0. The other parameters are as
    in `search_all`.

    Parameters
    ----------
    row_of, rows : ndarray of dtype int32, float32
        From `row_table`, set by `fill_rows` for all terms of these queries.
    """
    bits = sums.view(np.int32)
    n_documents = sums.size
    n_groups = n_documents // GROUP
    groups = bits[: n_groups * GROUP].reshape(-1, GROUP)
    largest = np.empty(n_groups, dtype=np.int32)
    ordered = np.empty(n_groups, dtype=np.int64)
    for i in range(queries.size):
        q = queries[i]
        mask = mask_of[q] if mask_of.size else -1
        j = q_indptr[q]
        end = q_indptr[q + 1]
        while j < end:
            t = q_terms[j]
            w = q_weights[j]
            row = row_of[t]
            if row < 0:
                for p in range(term_indptr[t], term_indptr[t + 1]):
                    sums[docs[p]] += w * impacts[p]
                j += 1
                continue
            # The row holds -0.0 for a document without the term, which does not change a sum, not even -0.0.
            a = rows[row]
            if j + 4 <= end and min(row_of[q_terms[j + 1]], row_of[q_terms[j + 2]], row_of[q_terms[j + 3]]) >= 0:
                # One pass over the sums for four terms, which are added in their order.
                b = rows[row_of[q_terms[j + 1]]]
                c = rows[row_of[q_terms[j + 2]]]
                e = rows[row_of[q_terms[j + 3]]]
                v = q_weights[j + 1]
                u = q_weights[j + 2]
                s = q_weights[j + 3]
                for d in range(n_documents):
                    sums[d] = (((sums[d] + w * a[d]) + v * b[d]) + u * c[d]) + s * e[d]
                j += 4
            else:
                for d in range(n_documents):
                    sums[d] += w * a[d]
                j += 1
        if mask >= 0:
            for d in range(n_documents):
                if not masks[mask, d]:
                    bits[d] = _UNTOUCHED
        for x in range(n_groups):
            most = _UNTOUCHED
            for y in range(GROUP):
                most = max(most, groups[x, y])
            largest[x] = most
            ordered[x] = (np.int64(most) << 32) | x
        # The k-th largest of the maxima of the groups: at least k documents reach it.
        found = out_counts[q]
        smallest = _resume(out_keys, q, found, k, keys)
        floor = np.int32(max(smallest >> 32, np.int64(0)))
        if n_groups > k:
            floor = max(floor, np.int32(_partition(ordered, n_groups, k) >> 32))
        for x in range(n_groups + 1):
            if x == n_groups or largest[x] >= floor:
                for d in range(x * GROUP, min(x * GROUP + GROUP, n_documents)):
                    if bits[d] >= floor:
                        key = _key(bits[d], _place(places, base, d))
                        if key > smallest:
                            keys[found] = key
                            found += 1
                            if found == keys.size:
                                smallest = _partition(keys, found, k)
                                found = np.int64(k)
        for d in range(n_documents):
            bits[d] = _UNTOUCHED
        if found > k:
            _partition(keys, found, k)
            found = np.int64(k)
        for j in range(found):
            out_keys[q, j] = keys[j]
        out_counts[q] = found


@kernel
def search_pruned(
    queries, q_indptr, q_terms, q_weights, term_indptr, docs, impacts, maxima, shifts, skip_indptr, skips, code_of,
    codes, masks, mask_of, k, base, places, accumulators, rows, values, bounds, histogram, keys, out_keys, out_counts,
):  # fmt: skip
    """Rank the documents of one segment for some queries, without scoring all documents that hold a term of the query.

    The score of a document is the sum of weight * impact over the terms of the query that it holds, added in
    float32 in the order of the terms. Weights and impacts are at least 0. All documents that hold a term of the query
    are ranked, including those with the score 0: by descending score, then by row.

    Parameters
    ----------
    queries : ndarray of dtype int64
        Queries to answer.
    q_indptr, q_terms, q_weights : ndarray of dtype int64, uint32, float32
        All queries, as `order_terms` gives them.
    term_indptr, docs : ndarray
        From `_postings.invert`.
    impacts, maxima : ndarray of dtype float32
        Set by `fill_impacts`, for all terms of these queries.
    shifts, skip_indptr, skips : ndarray
        From `_postings.skip_table`.
    code_of, codes : ndarray
        From `code_table`, set by `fill_codes`.
    masks : ndarray of shape (n_masks, n_documents), dtype=uint8
    mask_of : ndarray of shape (n_queries,) or (0,), dtype=int64
        Mask of each query, -1 for no mask; empty if no query has a mask.
    k : int
        Number of documents to return for each query, at least 1.
    base : int
        Position of the first document of the segment among those of all segments, if the positions are consecutive.
    places : ndarray of shape (n_documents,) or (0,), dtype=int64
        Position of each document, ascending; empty if they are consecutive.
    accumulators, rows, values, bounds, histogram, keys : ndarray
        From `workspace`.
    out_keys : ndarray of shape (n_queries, k), dtype=int64
        Input and output: the k best documents of each query so far, in any order, as keys that `decode` turns into
        positions and scores. Entries beyond the count of a query have no meaning.
    out_counts : ndarray of shape (n_queries,), dtype=int64
        Input and output: the number of keys of each query. A query with k keys from other segments is answered faster.
    """
    n_documents = values.size - 1
    bits = accumulators.view(np.int32)
    value_bits = values.view(np.int32)
    longest = 0
    for x in range(queries.size):
        q = queries[x]
        longest = max(longest, q_indptr[q + 1] - q_indptr[q])
    cursors = np.empty(2 * longest, dtype=np.int64)
    for x in range(queries.size):
        q = queries[x]
        mask = mask_of[q] if mask_of.size else -1
        begin = q_indptr[q]
        end = q_indptr[q + 1]
        bound = 0.0
        for i in range(begin, end):
            t = q_terms[i]
            bound += q_weights[i] * maxima[t]
        slack = 2.0**-23 * (8 + end - begin) * bound  # more than the rounding error of any sum or bound
        found = out_counts[q]
        smallest = _resume(out_keys, q, found, k, keys)
        theta = _score_of(smallest)
        if theta > bound + slack:
            continue
        rest = bound
        split = begin
        size = 0
        n = np.int64(0)
        while True:
            goal = max(theta * 1.2, bound * 0.35)
            least_split = split
            while split < end:
                t = q_terms[split]
                s = term_indptr[t + 1] - term_indptr[t]
                if (
                    split > least_split
                    and (size >= 2 * k or theta > rest + slack)
                    and rest < goal
                    and s > (size if code_of[t] >= 0 else 4 * size)
                ):
                    break
                rest -= q_weights[split] * maxima[t]
                size += s
                split += 1
            if split == end:
                rest = 0.0
            n, theta = _accumulate(
                q_terms,
                q_weights,
                begin,
                split,
                term_indptr,
                docs,
                impacts,
                shifts,
                skip_indptr,
                skips,
                n_documents,
                mask,
                masks,
                k,
                theta,
                rest + slack,
                bound + slack,
                accumulators,
                bits,
                rows,
                values,
                cursors,
                histogram,
            )
            if split == end:
                break
            if n > k:
                theta = _raise(values, n, k, theta, bound - rest + slack, histogram)
            if theta > rest + slack:
                break
        if split < end:
            n = _keep(rows, values, n, np.float32(theta - rest - slack))
            for j in range(n):
                bounds[j] = values[j]
            error = 2 * slack
            for i in range(split, end):
                t = q_terms[i]
                w = q_weights[i]
                rest -= w * maxima[t]
                least = np.float32(theta - rest - slack)
                m = 0
                row = code_of[t]
                if row >= 0:
                    step = np.float32(w * maxima[t] / _STEPS)
                    error += step
                    for j in range(n):
                        d = rows[j]
                        v = bounds[j] + step * np.float32(codes[row, d])
                        rows[m] = d
                        values[m] = values[j]
                        bounds[m] = v
                        m += v >= least
                else:
                    for j in range(n):
                        d = rows[j]
                        v = bounds[j]
                        p = _find(t, d, term_indptr, docs, shifts, skip_indptr, skips)
                        if p >= 0:
                            v += w * impacts[p]
                        rows[m] = d
                        values[m] = values[j]
                        bounds[m] = v
                        m += v >= least
                n = m
            if n > k:
                least = np.float32(_raise(bounds, n, k, theta, bound + slack, histogram) - error)
                m = 0
                for j in range(n):
                    rows[m] = rows[j]
                    values[m] = values[j]
                    m += bounds[j] >= least
                n = m
            for i in range(split, end):
                t = q_terms[i]
                w = q_weights[i]
                for j in range(n):
                    p = _find(t, rows[j], term_indptr, docs, shifts, skip_indptr, skips)
                    if p >= 0:
                        values[j] += w * impacts[p]
        lo = theta
        hi = np.float32(bound)
        b = 0
        scale = np.float32(0.0)
        if n > k + 256 and hi - lo > 1e-20:
            scale = np.float32((_BUCKETS - 2) / (hi - lo))
            b = _bucket(values, n, k, lo, scale, histogram)
        for j in range(n):
            if b == 0 or (values[j] - lo) * scale >= b:
                key = _key(value_bits[j], _place(places, base, rows[j]))
                if key > smallest:
                    keys[found] = key
                    found += 1
            if found > k and (found == keys.size or j == n - 1):
                smallest = _partition(keys, found, k)
                found = np.int64(k)
        for j in range(found):
            out_keys[q, j] = keys[j]
        out_counts[q] = found


@kernel
def _add_codes(codes, multiple, sums):
    """Add a multiple of the codes of a term to the sums of as many documents."""
    for d in range(codes.size):
        sums[d] = sums[d] + multiple * codes[d]  # a conversion to uint16 would keep LLVM from using vectors


@kernel
def _admit(mask, sums):
    """Set the sums of the documents that may not be returned to 0."""
    for d in range(mask.size):
        sums[d] = sums[d] * mask[d]


@kernel
def _group_maxima(sums, largest):
    """Write the largest sum of each group; group g has every document g + i * n_groups."""
    n = largest.size
    for g in range(n):
        largest[g] = sums[g]
    for i in range(1, GROUP):
        part = sums[i * n : (i + 1) * n]
        for g in range(n):
            largest[g] = max(largest[g], part[g])


@kernel
def _floor_of_groups(largest, k, histogram):
    """Return a number that at least k of the maxima of groups reach, nearly the highest one."""
    for b in range(histogram.size):
        histogram[b] = 0
    for g in range(largest.size):
        histogram[largest[g] >> 5] += 1
    b = histogram.size - 1
    n = histogram[b]
    while n < k and b > 0:
        b -= 1
        n += histogram[b]
    return np.int64(b) << 5


@kernel
def _score_exactly(
    n, begin, end, q_terms, q_weights, term_indptr, docs, impacts, maxima, shifts, skip_indptr, skips, code_of, codes,
    multiples, rows, values, rests,
):  # fmt: skip
    """Write the scores of the n documents in `rows` for one query to `values`.

    `rests` holds the part of the sum of each document that comes from terms without codes. These are not looked up any
    more as soon as all that the document holds are found. One term after the other is looked up in all documents, so
    that the processor waits for several of them at once.
    """
    for j in range(n):
        values[j] = 0
    for i in range(begin, end):
        t = q_terms[i]
        w = q_weights[i]
        row = code_of[t]
        if row >= 0:
            for j in range(n):
                if codes[row, rows[j]]:  # else the impact is 0, or there is none
                    p = _find(t, rows[j], term_indptr, docs, shifts, skip_indptr, skips)
                    if p >= 0:
                        values[j] += w * impacts[p]
        elif maxima[t] > 0:
            for j in range(n):
                if rests[j] > 0:
                    p = _find(t, rows[j], term_indptr, docs, shifts, skip_indptr, skips)
                    if p >= 0:
                        values[j] += w * impacts[p]
                        rests[j] -= np.float32(np.int64(multiples[i - begin]) * _code(impacts[p], maxima[t]))


@kernel
def search_coded(
    queries, q_indptr, q_terms, q_weights, term_indptr, docs, impacts, maxima, shifts, skip_indptr, skips, code_of,
    codes, masks, mask_of, k, base, places, sums, rows, values, rests, histogram, keys, out_keys, out_counts, left,
):  # fmt: skip
    """Rank the documents of one segment for some queries, by the sums of codes of all documents.

    This search is for queries whose terms are frequent, so that most documents would be accumulated. A sum of integer
    multiples of codes bounds the score of a document from above. The documents with the k highest sums are scored
    exactly, which gives a lower bound of the k-th best score, and then all documents whose sums reach it. Weights and
    impacts are at least 0. The other parameters are as in `search_pruned`.

    Parameters
    ----------
    sums : ndarray of shape (n_documents rounded up to a multiple of `GROUP`,), dtype=uint16
        Scratch.
    rows, values, rests, histogram, keys : ndarray
        From `workspace`.
    left : ndarray of shape (n_queries_to_answer,), dtype=int64
        Output: queries without k documents of a positive sum, which are not answered.

    Returns
    -------
    int
        Number of queries in `left`.
    """
    n_documents = codes.shape[1]
    n_groups = sums.size // GROUP
    largest = np.empty(n_groups, dtype=np.uint16)
    value_bits = values.view(np.int32)
    factors = np.empty(_MOST_TERMS)
    multiples = np.empty(_MOST_TERMS, dtype=np.uint16)
    n_left = 0
    for x in range(queries.size):
        q = queries[x]
        mask = mask_of[q] if mask_of.size else -1
        begin = q_indptr[q]
        end = q_indptr[q + 1]
        bound = 0.0
        for i in range(begin, end):
            bound += q_weights[i] * maxima[q_terms[i]]
        slack = 2.0**-20 * (8 + end - begin) * bound  # more than the rounding error of any sum, bound or code
        found = out_counts[q]
        smallest = _resume(out_keys, q, found, k, keys)
        theta = np.float64(_score_of(smallest))
        if theta > bound + slack:
            continue
        # A multiple m of codes stands for m * unit per code; all multiples together stay below 2 ** 16.
        unit = bound / (257 - (end - begin))
        if not unit > 0 or end - begin > _MOST_TERMS:
            left[n_left] = q
            n_left += 1
            continue
        for i in range(begin, end):
            factors[i - begin] = q_weights[i] * np.float64(maxima[q_terms[i]])
            multiples[i - begin] = np.uint16(np.ceil(factors[i - begin] / unit))
        for start in range(0, n_documents, _WINDOW // 4):
            stop = min(start + _WINDOW // 4, n_documents)
            window = sums[start:stop]
            window[:] = 0
            for i in range(begin, end):
                row = code_of[q_terms[i]]
                if row >= 0:
                    _add_codes(codes[row, start:stop], multiples[i - begin], window)
        sums[n_documents:] = 0
        for i in range(begin, end):
            t = q_terms[i]
            if code_of[t] < 0 and maxima[t] > 0:
                multiple = np.int64(multiples[i - begin])
                for p in range(term_indptr[t], term_indptr[t + 1]):
                    sums[docs[p]] += multiple * _code(impacts[p], maxima[t])
        if mask >= 0:
            _admit(masks[mask], sums)
        _group_maxima(sums, largest)
        step = unit / _STEPS
        if found == k:
            floor = np.int64(max((theta - slack) / step, 1.0))
            upper = np.int64(65536)
        else:
            floor = np.int64(0)
            if n_groups > k:
                floor = _floor_of_groups(largest, k, histogram)
            if floor < 1:
                left[n_left] = q
                n_left += 1
                continue
            upper = floor
        # Two passes: documents with the highest sums give theta, and then those that can reach it.
        for turn in range(2):
            if turn == 1:
                if upper == 65536:
                    break
                theta = max(theta, np.float64(_score_of(smallest)))
                floor = np.int64(max((theta - slack) / step, 1.0))
            n = 0
            for g in range(n_groups):
                if largest[g] < floor:
                    continue
                for d in range(g, n_documents, n_groups):
                    total = np.int64(sums[d])
                    if total < floor or (turn == 1 and total >= upper):
                        continue
                    # The same bound, with exact factors of the terms with codes instead of integer multiples.
                    most = 0.0
                    for i in range(begin, end):
                        row = code_of[q_terms[i]]
                        if row >= 0:
                            most += factors[i - begin] * codes[row, d]
                            total -= np.int64(multiples[i - begin]) * codes[row, d]
                    rows[n] = d
                    rests[n] = total
                    n += most / _STEPS + total * step >= theta - slack
            _score_exactly(
                n, begin, end, q_terms, q_weights, term_indptr, docs, impacts, maxima, shifts, skip_indptr, skips,
                code_of, codes, multiples, rows, values, rests,
            )  # fmt: skip
            for j in range(n):
                key = _key(value_bits[j], _place(places, base, rows[j]))
                if key > smallest:
                    keys[found] = key
                    found += 1
                    if found == keys.size:
                        smallest = _partition(keys, found, k)
                        found = np.int64(k)
            if found > k:
                smallest = _partition(keys, found, k)
                found = np.int64(k)
            elif found == k:
                smallest = keys[0]
                for j in range(1, k):
                    smallest = min(smallest, keys[j])
        for j in range(found):
            out_keys[q, j] = keys[j]
        out_counts[q] = found
    return n_left


def decode(keys, counts):
    """Return the positions and scores of the keys of searches, ranked.

    Parameters
    ----------
    keys : ndarray of shape (n_queries, k), dtype=int64
        Keys; they may be sorted in place.
    counts : ndarray of shape (n_queries,), dtype=int64
        Number of keys of each query, which are at the beginning of its row.

    Returns
    -------
    positions, scores : ndarray of shape (n_keys,), dtype=int64 and float32
        Rankings of all queries, one after the other.
    """
    k = counts.max(initial=0)
    keys = np.ascontiguousarray(keys[:, :k])  # a cutoff may be much larger than the number of documents found
    if counts.sum() == keys.size:
        keys.sort(axis=1)
        ranked = keys[:, ::-1].ravel()
    else:
        present = np.arange(k) < counts[:, None]
        keys[~present] = _NO_KEY
        keys.sort(axis=1)
        ranked = keys[:, ::-1][present]
    bits = (ranked >> 32).astype(np.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return 0xFFFFFFFF ^ (ranked & 0xFFFFFFFF), bits.view(np.float32)
