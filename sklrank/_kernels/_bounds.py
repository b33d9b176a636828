"""Least and greatest values of metrics over all judgments of the unjudged documents.

The unjudged documents of a ranking stand at the positions that no hit has. For a fixed number of relevant ones among
them, a metric that prefers relevant documents higher up is greatest when these are the first, and least when these are
the last; what is left is to try all numbers.
"""

import numpy as np

from sklrank._kernels._jit import kernel


@kernel
def bound_precisions(indptr, positions, grades, n_retrieved, level, depth, n_relevant, low, high):
    """Average precision with one or more unjudged documents relevant; infinite where there are none."""
    for q in range(len(low)):
        start, stop = indptr[q], indptr[q + 1]
        total, after = 0.0, 0.0  # precisions of the relevant hits; weights of those below the current position
        count = 0
        for h in range(start, stop):
            if grades[h] >= level and positions[h] < depth[q]:
                count += 1
                total += count / (positions[h] + 1)
                after += 1.0 / (positions[h] + 1)

        # from the top: what is added lifts the relevant hits below it
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

        # from the bottom: it lifts those that were added before as well
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
    """Normalized discounted gain where unjudged documents may have any gain of `levels` (ascending), or none.

    ``above[q, l]`` counts the judged documents of at least the gain ``levels[l]``; ``reach[n]`` is the sum of the first
    `n` discounts. Gains are sums of steps between levels, and DCG and ideal alike are sums over levels, of a part that
    knows only which documents reach the level. The ratio is quasi-concave in the gains. So its minimum gives each
    unjudged document nothing or the highest gain, and its maximum is found by Dinkelbach's iteration: for a ratio r,
    each level on its own takes the number of documents that makes DCG - r · ideal greatest; more documents at lower
    levels, since their ideal is longer already.
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
        high[q] = ratio if ratio > 0 else -np.inf
