"""Exact top-k search over inverted lists."""

import numpy as np

from sklrank._kernels._jit import kernel

# How a count c becomes an impact, given the term's scale s, the document's norm n and two parameters.
SATURATED = 0  # s * (c / (c + n) + first)
SHIFTED = 1  # s * (c / n + first) / (c / n + first + second)
LOGARITHMIC = 2  # log(1 + s * c / n)
LINEAR = 3  # s * c / n
SUBLINEAR = 4  # s * (1 + log(c)) / n


@kernel
def fill_impacts(terms, term_indptr, docs, counts, scales, norms, form, first, second, impacts, maxima, done):
    """Compute the impacts of the lists in `terms` that are not there yet, and the largest of each list."""
    for i in range(terms.size):
        t = terms[i]
        if done[t]:
            continue
        s = scales[t]
        largest = np.float32(0.0)
        for p in range(term_indptr[t], term_indptr[t + 1]):
            c = np.float64(counts[p])
            n = norms[docs[p]]
            if form == SATURATED:
                x = s * (c / (c + n) + first)
            elif form == SHIFTED:
                x = c / n + first
                x = s * x / (x + second)
            elif form == LOGARITHMIC:
                x = np.log1p(s * c / n)
            elif form == LINEAR:
                x = s * c / n
            else:
                x = s * (1.0 + np.log(c)) / n
            impact = np.float32(x)
            impacts[p] = impact
            largest = max(largest, impact)
        maxima[t] = largest
        done[t] = 1


@kernel
def _order_terms(indptr, terms, weights, sizes, out_indptr, out_terms, out_weights):
    n = 0
    for q in range(indptr.size - 1):
        begin = n
        for i in range(indptr[q], indptr[q + 1]):
            t = terms[i]
            size = sizes[t]
            if size == 0:
                continue
            j = n
            while j > begin and (
                sizes[out_terms[j - 1]] > size or (sizes[out_terms[j - 1]] == size and out_terms[j - 1] > t)
            ):
                j -= 1
            if j > begin and out_terms[j - 1] == t:
                out_weights[j - 1] += weights[i]
                continue
            for m in range(n, j, -1):
                out_terms[m] = out_terms[m - 1]
                out_weights[m] = out_weights[m - 1]
            out_terms[j] = t
            out_weights[j] = weights[i]
            n += 1
        out_indptr[q + 1] = n


def order_terms(indptr, terms, weights, sizes):
    """Merge the repeated terms of each query and order them: rarest first, then by number.

    This is the order in which `search` adds. It depends on the query and on `sizes`, the document frequencies
    in the whole index, only, so that scores are the same to the last bit whatever the order of the words and
    however the documents are cut into segments. Terms of no document are left out.

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
    out_indptr = np.zeros(indptr.size, dtype=np.int64)
    out_terms = np.empty(terms.size, dtype=np.uint32)
    out_weights = np.empty(terms.size, dtype=np.float32)
    _order_terms(indptr, terms, weights, sizes, out_indptr, out_terms, out_weights)
    return out_indptr, out_terms[: out_indptr[-1]], out_weights[: out_indptr[-1]]


_UNTOUCHED = np.int32(-(2**31))  # the bits of -0.0


def workspace(n_documents, k):
    """Scratch arrays for `search`, to be used by one thread at a time; it leaves them as it found them."""
    accumulators = np.full(n_documents, -0.0, dtype=np.float32)
    touched = np.empty(n_documents + 1, dtype=np.uint32)
    keys = np.empty(2 * min(k, n_documents) + 1024, dtype=np.int64)
    histogram = np.empty(256, dtype=np.int32)
    return accumulators, touched, histogram, keys


@kernel
def _key(bits, d):
    """A number that is larger for a larger score, then for a lower row. `bits` are those of the float32 score."""
    return (np.int64(bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32) | (0xFFFFFFFF ^ np.int64(d))


@kernel
def _partition(keys, n, k):
    """Move the k largest of n different keys to the front."""
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
            return


@kernel
def _sort(keys, n, counts):
    """Sort the first n keys, the largest first. The n keys after them and 256 counts are scratch."""
    if n <= 48:
        for i in range(1, n):
            x = keys[i]
            j = i
            while j > 0 and keys[j - 1] < x:
                keys[j] = keys[j - 1]
                j -= 1
            keys[j] = x
        return
    # Radix sort by bytes, the lowest first; a byte that all keys share is passed over. The keys start at
    # 0 or, after an odd number of passes, at n.
    source = 0
    for shift in range(0, 64, 8):
        sign = 128 if shift == 56 else 0  # the highest byte is signed
        for b in range(256):
            counts[b] = 0
        for i in range(source, source + n):
            counts[((keys[i] >> shift) & 255) ^ sign] += 1
        if counts[((keys[source] >> shift) & 255) ^ sign] == n:
            continue
        position = n - source
        for b in range(255, -1, -1):
            size = counts[b]
            counts[b] = position
            position += size
        for i in range(source, source + n):
            x = keys[i]
            b = ((x >> shift) & 255) ^ sign
            keys[counts[b]] = x
            counts[b] += 1
        source = n - source
    if source:
        for i in range(n):
            keys[i] = keys[n + i]


@kernel
def search(
    start,
    stop,
    q_indptr,
    q_terms,
    q_weights,
    term_indptr,
    docs,
    impacts,
    maxima,
    shifts,
    skip_indptr,
    skips,
    bias,
    masks,
    mask_of,
    k,
    base,
    accumulators,
    touched,
    histogram,
    keys,
    out_rows,
    out_scores,
    out_counts,
):
    """Rank the documents of one segment for the queries from `start` to `stop`.

    The score of document d is the sum of weight * impact over the terms of the query that it holds, added in
    float32 in the order of the terms, plus, where `bias` is not empty, bias[d] times the sum of the query's
    weights. Weights and impacts are at least 0. Documents that hold a term of the query are ranked, also those
    with score 0: by score, the largest first, then the lower row.

    Parameters
    ----------
    start, stop : int
    q_indptr, q_terms, q_weights : ndarray of dtype int64, uint32, float32
        The queries, as `order_terms` gives them.
    term_indptr, docs : ndarray
        From `_postings.invert`.
    impacts, maxima : ndarray of dtype float32
        From `fill_impacts`, for all terms of these queries.
    shifts, skip_indptr, skips : ndarray
        From `_postings.skip_table`.
    bias : ndarray of shape (n_documents,) or (0,), dtype=float32
    masks : ndarray of shape (n_masks, n_documents), dtype=uint8
    mask_of : ndarray of shape (n_queries,) or (0,), dtype=int64
        The mask that says which documents a query may find; -1 where all, empty where all queries may find all.
    k : int
        At least 1.
    base : int
        Added to the rows that are written.
    accumulators, touched, histogram, keys : ndarray
        From `workspace`.
    out_rows, out_scores : ndarray of shape (n_queries, k), dtype=int64, float32
        What lies beyond a query's count is left alone.
    out_counts : ndarray of shape (n_queries,), dtype=int64
    """
    bits = accumulators.view(np.int32)
    out_bits = out_scores.view(np.int32)
    k = min(k, accumulators.size)
    for q in range(start, stop):
        mask = mask_of[q] if mask_of.size else -1
        n = 0
        total = np.float32(0.0)
        for i in range(q_indptr[q], q_indptr[q + 1]):
            t = q_terms[i]
            w = q_weights[i]
            total += w
            for p in range(term_indptr[t], term_indptr[t + 1]):
                d = docs[p]
                touched[n] = d
                n += bits[d] == _UNTOUCHED
                accumulators[d] += w * impacts[p]
        found = 0
        least = np.int64(-(2**63))
        for i in range(n):
            d = touched[i]
            if bias.size:
                accumulators[d] += total * bias[d]
            key = _key(bits[d], d)
            bits[d] = _UNTOUCHED
            if key > least and (mask < 0 or masks[mask, d]):
                keys[found] = key
                found += 1
                if found == keys.size:
                    _partition(keys, found, k)
                    found = k
                    least = keys[0]
                    for j in range(1, k):
                        least = min(least, keys[j])
        if found > k:
            _partition(keys, found, k)
            found = k
        _sort(keys, found, histogram)
        for j in range(found):
            high = np.int32(keys[j] >> 32)
            out_bits[q, j] = high ^ ((high >> 31) & 0x7FFFFFFF)
            out_rows[q, j] = base + (0xFFFFFFFF ^ (keys[j] & 0xFFFFFFFF))
        out_counts[q] = found


@kernel
def merge_segments(rows, scores, counts, out_rows, out_scores, out_counts):
    """Merge the rankings of several segments: score descending, then the lower row.

    Parameters
    ----------
    rows, scores : ndarray of shape (n_segments, n_queries, k), dtype=int64, float32
    counts : ndarray of shape (n_segments, n_queries), dtype=int64
    out_rows, out_scores : ndarray of shape (n_queries, k)
    out_counts : ndarray of shape (n_queries,)
    """
    n_segments, n_queries, k = rows.shape
    heads = np.empty(n_segments, dtype=np.int64)
    for q in range(n_queries):
        heads[:] = 0
        n = 0
        while n < k:
            best = -1
            for s in range(n_segments):
                i = heads[s]
                if i == counts[s, q]:
                    continue
                if best >= 0:
                    j = heads[best]
                    if scores[s, q, i] < scores[best, q, j]:
                        continue
                    if scores[s, q, i] == scores[best, q, j] and rows[s, q, i] > rows[best, q, j]:
                        continue
                best = s
            if best < 0:
                break
            j = heads[best]
            heads[best] = j + 1
            out_rows[q, n] = rows[best, q, j]
            out_scores[q, n] = scores[best, q, j]
            n += 1
        out_counts[q] = n
