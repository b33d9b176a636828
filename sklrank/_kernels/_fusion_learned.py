"""What learning to fuse, and looking at how rankings agree, need of ragged candidates.

Candidates of query ``q`` are the entries ``indptr[q]:indptr[q + 1]``. Ranks count from 1; 0 stands for a candidate that
a system did not find.
"""

from sklrank._kernels._jit import kernel


@kernel
def place_hits(indptr, rows, scores, hit_indptr, hit_entries, out):
    """Position of each hit, an entry, if its query were ranked by `scores`, then by the lower row.

    The hits are few, so that counting what stands above each is cheaper than sorting all.
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
    """How far two systems agree on each query: the number of documents that both found, and three coefficients.

    The Jaccard coefficient is that of the first `k` of each list. Kendall's tau is that of the documents that both
    found. The rank-biased overlap is the extrapolated one of lists of different lengths, eq. 32 of Webber et al.::

        (1 - p) / p * (sum over d = 1..l of X_d / d * p^d  +  sum over d = s+1..l of X_s (d - s) / (s d) * p^d)
            + ((X_l - X_s) / l + X_s / s) * p^l

    with l and s the lengths of the longer and the shorter list, and X_d the number of documents that both have among
    their first d. What has no value is NaN. `entered` is all zeros, one for each depth from 0, and is all zeros again
    at the end.
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
        jaccard[q] = shallow / either if either else float("nan")
        tau[q] = 2.0 * balance / (both * (both - 1)) if both > 1 else float("nan")
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
