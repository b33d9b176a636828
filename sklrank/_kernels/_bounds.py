"""Least and greatest values of metrics over all judgments of the unjudged documents.

The unjudged documents of a ranking stand at the positions that no hit has. For a fixed number of relevant documents
among them, a metric that prefers relevant documents higher up is greatest if these are the first, and least if these
are the last. Therefore it is enough to try all numbers.
"""

import numpy as np

from sklrank._kernels._jit import kernel


@kernel
def bound_precisions(indptr, positions, grades, n_retrieved, level, depth, n_relevant, low, high):
    """Bound average precision with at least one unjudged document relevant; infinite if there are no such documents."""
    for q in range(len(low)):
        start, stop = indptr[q], indptr[q + 1]
        total, after = 0.0, 0.0  # precisions of the relevant hits; weights of the hits below the current position
        count = 0
        for h in range(start, stop):
            if grades[h] >= level and positions[h] < depth[q]:
                count += 1
                total += count / (positions[h] + 1)
                after += 1.0 / (positions[h] + 1)

        # from the top: an added document lifts the relevant hits below it
        best, seen, added = -np.inf, 0, 0
        sum_up, below, h = total, after, start
        for p in range(n_retrieved[q]):
            if h < stop and positions[h] == p:
                if grades[h] >= level and p < depth[q]:
                    seen += 1
                    below -= 1.0 / (p + 1)
                h += 1
                continue
            added += 1
            if p < depth[q]:
                sum_up += (seen + added) / (p + 1) + below
            best = max(best, sum_up / (n_relevant[q] + added))
        high[q] = best

        # from the bottom: an added document also lifts the documents that were added before
        least, seen, added = np.inf, count, 0
        sum_down, below, h = total, 0.0, stop - 1
        for p in range(n_retrieved[q] - 1, -1, -1):
            inside = p < depth[q]
            if h >= start and positions[h] == p:
                if grades[h] >= level and inside:
                    seen -= 1
                    below += 1.0 / (p + 1)
                h -= 1
                continue
            added += 1
            if inside:
                sum_down += (seen + 1) / (p + 1) + below
                below += 1.0 / (p + 1)
            least = min(least, sum_down / (n_relevant[q] + added))
        low[q] = least


@kernel
def bound_discounted_gain(indptr, positions, gains, n_retrieved, levels, above, reach, low, high):
    """Bound normalized discounted gain if unjudged documents have any gain of `levels` (ascending), or no gain.

    ``above[q, l]`` counts the judged documents with at least the gain ``levels[l]``; ``reach[n]`` is the sum of the
    first `n` discounts. Gains are sums of steps between levels. Therefore DCG and ideal DCG are sums over levels, and
    the part of a level depends only on the documents that reach it. The ratio is quasi-concave in the gains. Therefore
    its minimum gives each unjudged document no gain or the highest gain, and Dinkelbach's iteration finds its maximum:
    for a ratio r, each level alone takes the number of documents that makes DCG - r · ideal greatest. Lower levels take
    more documents, because their ideal is longer already.
    """
    n_levels = len(levels)
    for q in range(len(low)):
        n = n_retrieved[q]
        reached = np.zeros(n_levels)  # discounts of the hits of each level
        gained = np.zeros(n + 1)  # discounts of the first unjudged documents
        h, n_free = indptr[q], 0
        for p in range(n):
            discount = reach[p + 1] - reach[p]
            if h < indptr[q + 1] and positions[h] == p:
                for i in range(n_levels):
                    if gains[h] >= levels[i]:
                        reached[i] += discount
                h += 1
            else:
                gained[n_free + 1] = gained[n_free] + discount
                n_free += 1

        least = np.inf
        for m in range(n_free + 1):
            dcg, ideal, below = 0.0, 0.0, 0.0
            for i in range(n_levels):
                dcg += (levels[i] - below) * (reached[i] + gained[n_free] - gained[n_free - m])
                ideal += (levels[i] - below) * reach[above[q, i] + m]
                below = levels[i]
            if ideal > 0:
                least = min(least, dcg / ideal)
        low[q] = least

        ratio, better = 0.0, True
        while better:
            dcg, ideal, below = 0.0, 0.0, 0.0
            for i in range(n_levels):
                best, best_m = -reach[above[q, i]] * ratio, 0
                for m in range(1, n_free + 1):
                    value = gained[m] - ratio * reach[above[q, i] + m]
                    if value > best:
                        best, best_m = value, m
                dcg += (levels[i] - below) * (reached[i] + gained[best_m])
                ideal += (levels[i] - below) * reach[above[q, i] + best_m]
                below = levels[i]
            better = ideal > 0 and dcg > ratio * ideal * (1 + 1e-14)
            if better:
                ratio = dcg / ideal
        high[q] = -np.inf
        if ratio > 0:
            high[q] = ratio


@kernel
def _binary_preference(relevant, n_relevant, n_irrelevant):
    above, total = 0, 0.0
    for p in range(len(relevant)):
        if relevant[p]:
            if above == 0:
                total += 1.0
            else:
                total += 1.0 - min(above, n_relevant) / min(n_relevant, n_irrelevant)
        else:
            above += 1
    return total / n_relevant


@kernel
def _inferred_precision(relevant, n_relevant):
    epsilon = 1e-5
    seen, total = 0, 0.0
    for p in range(len(relevant)):
        if relevant[p]:
            if p == 0:
                total += 1.0
            else:
                total += (1.0 + p * (seen + epsilon) / (p + 2 * epsilon)) / (p + 1)
            seen += 1
    return total / n_relevant


@kernel
def _interpolated_precision(relevant, n_relevant, recalls, rounding):
    total = 0.0
    for recall in recalls:
        needed = int(recall * n_relevant + rounding)
        seen, best = 0, 0.0
        for p in range(len(relevant)):
            if relevant[p]:
                seen += 1
                if seen >= needed and seen > best * (p + 1):
                    best = seen / (p + 1)
        total += best
    return total / len(recalls)


@kernel
def _r_precision(relevant, depth):
    seen = 0
    for p in range(min(depth, len(relevant))):
        seen += relevant[p]
    return seen / depth


@kernel
def bound_by_sweep(
    measure, indptr, positions, grades, n_retrieved, level, n_relevant, n_irrelevant, recalls, rounding, low, high
):
    """Bound a measure by trying every number of relevant documents, each in one pass over the ranking.

    `measure` is 0 for bpref, 1 for inferred AP, 2 for interpolated precision (the mean over `recalls`, truncated to
    numbers of documents after adding `rounding`), and 3 for R-precision at ``recalls[0]`` times the number of relevant
    documents.
    """
    for q in range(len(low)):
        n = n_retrieved[q]
        judged = np.zeros(n, dtype=np.int8)  # relevant by judgment
        free = np.empty(n, dtype=np.int64)  # positions of unjudged documents
        h, n_free = indptr[q], 0
        for p in range(n):
            if h < indptr[q + 1] and positions[h] == p:
                judged[p] = grades[h] >= level
                h += 1
            else:
                free[n_free] = p
                n_free += 1
        low[q], high[q] = np.inf, -np.inf
        for downwards in range(2):
            relevant = judged.copy()
            for m in range(1, n_free + 1):
                if downwards:
                    relevant[free[m - 1]] = 1
                else:
                    relevant[free[n_free - m]] = 1
                count = n_relevant[q] + m
                if measure == 0:
                    value = _binary_preference(relevant, count, n_irrelevant[q] + n_free - m)
                elif measure == 1:
                    value = _inferred_precision(relevant, count)
                elif measure == 2:
                    value = _interpolated_precision(relevant, count, recalls, rounding)
                elif recalls[0] == 1:
                    value = _r_precision(relevant, count)
                else:
                    value = _r_precision(relevant, int(recalls[0] * count + 0.9))
                if downwards:
                    high[q] = max(high[q], value)
                else:
                    low[q] = min(low[q], value)
