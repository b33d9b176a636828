"""Positions of hits, for learning to fuse, and agreement of rankings.

Candidates of query ``q`` are the entries ``indptr[q]:indptr[q + 1]``. Ranks count from 1; the rank 0 means that a
system did not find a candidate.
"""

from sklrank._kernels._jit import kernel


@kernel
def place_hits(indptr, rows, scores, hit_indptr, hit_entries, out):
    """Compute the position of each hit if the candidates of its query are ranked by `scores`, then by row.

    Hits are few, so that counting the candidates above each hit is cheaper than sorting all candidates.
    """
    for q in range(len(indptr) - 1):
        for h in range(hit_indptr[q], hit_indptr[q + 1]):
            e = hit_entries[h]
            s, r = scores[e], rows[e]
            n = 0
            for c in range(indptr[q], indptr[q + 1]):
                n += scores[c] > s or (scores[c] == s and rows[c] < r)
            out[h] = n


@kernel
def agree(indptr, ranks, others, k, p, entered, common, jaccard, tau, rbo):
    """Measure the agreement of two systems on each query: the number of common documents, and three coefficients.

    The Jaccard coefficient is that of the first `k` documents of each list. Kendall's tau is that of the documents that
    both found. The rank-biased overlap is the extrapolated one for lists of different lengths, eq. 32 of Webber et
    al.::

        (1 - p) / p * (sum over d = 1..l of X_d / d * p^d  +  sum over d = s+1..l of X_s (d - s) / (s d) * p^d)
            + ((X_l - X_s) / l + X_s / s) * p^l

    where l and s are the lengths of the longer and the shorter list, and X_d is the number of documents that both lists
    have among their first d. An undefined coefficient is NaN. `entered` holds a zero for each depth from 0, and holds
    zeros again at the end.
    """
    for q in range(len(indptr) - 1):
        start, stop = indptr[q], indptr[q + 1]
        n, m = 0, 0  # lengths of the lists
        both, shallow, either = 0, 0, 0
        balance = 0
        for i in range(start, stop):
            a, b = ranks[i], others[i]
            n += a > 0
            m += b > 0
            shallow += 0 < a <= k and 0 < b <= k
            either += 0 < a <= k or 0 < b <= k
            if a > 0 and b > 0:
                both += 1
                entered[max(a, b)] += 1
                for j in range(start, i):
                    c, d = ranks[j], others[j]
                    if c > 0 and d > 0:
                        balance += 1 if (a < c) == (b < d) else -1
        common[q] = both
        jaccard[q] = tau[q] = float("nan")
        if either:
            jaccard[q] = shallow / either
        if both > 1:
            tau[q] = 2.0 * balance / (both * (both - 1))
        short, long = min(n, m), max(n, m)
        if long == 0:
            rbo[q] = float("nan")
        elif short == 0:
            rbo[q] = 0.0
        else:
            total, at_short, x = 0.0, 0, 0
            weight = 1.0
            for depth in range(1, long + 1):
                x += entered[depth]
                entered[depth] = 0
                weight *= p
                if depth == short:
                    at_short = x
                total += x / depth * weight
                if depth > short:
                    total += at_short * (depth - short) / (short * depth) * weight
            rbo[q] = (1 - p) / p * total + ((x - at_short) / long + at_short / short) * weight
