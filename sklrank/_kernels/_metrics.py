"""Rank metrics over the judged documents that a run retrieved.

A run is long and has few judgments. All that a metric needs from the run are the *hits*: the retrieved documents that
have a judgment, in the order of the ranking. Query ``q`` has the hits ``indptr[q]:indptr[q + 1]``; a hit has a position
(from 0, in the whole ranking) and a grade. Each kernel reads the hits once, and writes one value per query::

    ranking    d7  d2  d9  d1  d4  d3        judged: d2 (grade 1), d4 (grade 0), d8 (grade 2)
    positions   0   1   2   3   4   5        hits:   positions 1, 4; grades 1, 0

`depth` holds the cutoff of each query: hits at that position or deeper do not count.
"""

import numpy as np

from sklrank._kernels._jit import kernel

_GAPS = (460316, 204585, 90927, 40412, 17961, 7983, 3548, 1577, 701, 301, 132, 57, 23, 10, 4, 1)  # Ciura's, extended


@kernel
def join(judged_indptr, judged_rows, ranked_indptr, ranked_rows, pairs, slots, hit_indptr, hit_positions, hit_entries):
    """Find the judged documents in the rankings.

    ``pairs[q]`` is the ranking of judged query ``q``, or -1. Judged rows without a number among the ranked documents
    are -1. `slots` holds a zero for each document, and holds zeros again at the end.
    """
    n = 0
    hit_indptr[0] = 0
    for q in range(len(pairs)):
        r = pairs[q]
        start, stop = judged_indptr[q], judged_indptr[q + 1]
        if r >= 0 and stop > start:
            for e in range(start, stop):
                if judged_rows[e] >= 0:
                    slots[judged_rows[e]] = e - start + 1
            left = ranked_indptr[r]
            for p in range(left, ranked_indptr[r + 1]):
                slot = slots[ranked_rows[p]]
                if slot > 0:
                    hit_positions[n] = p - left
                    hit_entries[n] = start + slot - 1
                    n += 1
            for e in range(start, stop):
                if judged_rows[e] >= 0:
                    slots[judged_rows[e]] = 0
        hit_indptr[q + 1] = n
    return n


@kernel
def locate(indptr, scores, hit_indptr, hit_scores, greater, equal):
    """Count for each hit the scores of its query that are greater, and the scores that are equal.

    The scores of the hits of a query are descending.
    """
    for q in range(len(indptr) - 1):
        start, stop = hit_indptr[q], hit_indptr[q + 1]
        if start == stop:
            continue
        lowest = hit_scores[stop - 1]
        for p in range(indptr[q], indptr[q + 1]):
            s = scores[p]
            if s < lowest:
                continue
            low, high = start, stop  # the first hit that is not above s: s is above all hits after the equal ones
            while low < high:
                middle = (low + high) >> 1
                if hit_scores[middle] > s:
                    low = middle + 1
                else:
                    high = middle
            while low < stop and hit_scores[low] == s:
                equal[low] += 1
                low += 1
            if low < stop:
                greater[low] += 1
        for h in range(start + 1, stop):
            greater[h] += greater[h - 1]


@kernel
def count_relevant(indptr, positions, grades, level, depth, out):
    """Count the hits of at least `level` above the cutoff."""
    for q in range(len(out)):
        n = 0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            if grades[h] >= level:
                n += 1
        out[q] = n


@kernel
def sum_precisions(indptr, positions, grades, level, depth, out):
    """Sum the precisions at the positions of relevant hits."""
    for q in range(len(out)):
        n = 0
        total = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            if grades[h] >= level:
                n += 1
                total += n / (positions[h] + 1)
        out[q] = total


@kernel
def reciprocal_rank(indptr, positions, grades, level, depth, out):
    """Compute one over the rank of the first relevant hit."""
    for q in range(len(out)):
        out[q] = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            if grades[h] >= level:
                out[q] = 1.0 / (positions[h] + 1)
                break


@kernel
def interpolated_precision(indptr, positions, grades, level, needed, out):
    """Compute the highest precision at or after the relevant hit number ``needed[q]`` (from 1; 0 is the first)."""
    for q in range(len(out)):
        n = 0
        best = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if grades[h] >= level:
                n += 1
                if n >= needed[q] and n > best * (positions[h] + 1):
                    best = n / (positions[h] + 1)
        out[q] = best


@kernel
def binary_preference(indptr, grades, level, n_relevant, n_irrelevant, out):
    """Compute bpref: the share of judged irrelevant documents below each relevant hit (in the form of trec_eval)."""
    for q in range(len(out)):
        above = 0
        total = 0.0
        bound = min(n_relevant[q], n_irrelevant[q])
        for h in range(indptr[q], indptr[q + 1]):
            if grades[h] >= level:
                if above == 0:
                    total += 1.0
                else:
                    total += 1.0 - min(above, n_relevant[q]) / bound
            elif grades[h] >= 0:
                above += 1
        out[q] = np.nan
        if n_relevant[q]:
            out[q] = total / n_relevant[q]


@kernel
def inferred_precisions(indptr, positions, grades, level, out):
    """Sum the expected precisions at relevant hits, by equation 1 of Yilmaz & Aslam with their smoothing."""
    epsilon = 1e-5
    for q in range(len(out)):
        relevant, irrelevant, unjudged = 0, 0, 0
        total = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if grades[h] >= level:
                j = positions[h]
                if j == 0:
                    total += 1.0
                else:
                    pooled = (relevant + irrelevant + unjudged) / j
                    share = (relevant + epsilon) / (relevant + irrelevant + 2 * epsilon)
                    total += 1.0 / (j + 1) + j / (j + 1) * pooled * share
                relevant += 1
            elif grades[h] >= 0:
                irrelevant += 1
            else:
                unjudged += 1
        out[q] = total


@kernel
def discounted_gain(indptr, positions, gains, depth, out):
    """Sum the gains, each divided by the logarithm (base 2) of its rank plus one."""
    for q in range(len(out)):
        total = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            if gains[h] != 0:
                total += gains[h] / np.log2(positions[h] + 2.0)
        out[q] = total


@kernel
def sort_descending(indptr, values):
    """Sort the values of each query in position, by Shell's sort: that of numba takes three seconds to compile."""
    for q in range(len(indptr) - 1):
        start, stop = indptr[q], indptr[q + 1]
        for gap in _GAPS:
            for i in range(start + gap, stop):
                value = values[i]
                j = i
                while j >= start + gap and values[j - gap] < value:
                    values[j] = values[j - gap]
                    j -= gap
                values[j] = value


@kernel
def rank_biased_gain(indptr, positions, gains, persistence, depth, out):
    """Compute rank-biased precision: gains weighted by the probability that a reader gets to their rank."""
    for q in range(len(out)):
        total = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            total += gains[h] * persistence ** positions[h]
        out[q] = (1.0 - persistence) * total


@kernel
def expected_reciprocal_rank(indptr, positions, chances, depth, out):
    """Compute the expected value of one over the rank at which a reader stops, given the chance to stop at each hit."""
    for q in range(len(out)):
        total = 0.0
        unsatisfied = 1.0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            total += unsatisfied * chances[h] / (positions[h] + 1)
            unsatisfied *= 1.0 - chances[h]
        out[q] = total


@kernel
def novel_gain(indptr, positions, entries, topic_indptr, topics, n_topics, alpha, depth, out):
    """Compute discounted gain; each repetition of a subtopic counts ``1 - alpha`` times as much as the one before."""
    for q in range(len(out)):
        left = np.ones(n_topics[q])
        total = 0.0
        for h in range(indptr[q], indptr[q + 1]):
            if positions[h] >= depth[q]:
                break
            gain = 0.0
            for t in range(topic_indptr[entries[h]], topic_indptr[entries[h] + 1]):
                gain += left[topics[t]]
                left[topics[t]] *= 1.0 - alpha
            total += gain / np.log2(positions[h] + 2.0)
        out[q] = total


@kernel
def ideal_novel_gain(indptr, topic_indptr, topics, n_topics, alpha, depth, out):
    """Compute `novel_gain` of the greedy ideal ranking; of entries with equal gain, the first is taken."""
    for q in range(len(out)):
        start, stop = indptr[q], indptr[q + 1]
        left = np.ones(n_topics[q])
        taken = np.zeros(stop - start, dtype=np.bool_)
        total = 0.0
        for position in range(min(depth[q], stop - start)):
            best, best_gain = -1, 0.0
            for e in range(start, stop):
                if taken[e - start]:
                    continue
                gain = 0.0
                for t in range(topic_indptr[e], topic_indptr[e + 1]):
                    gain += left[topics[t]]
                if gain > best_gain:
                    best, best_gain = e, gain
            if best < 0:
                break
            taken[best - start] = True
            for t in range(topic_indptr[best], topic_indptr[best + 1]):
                left[topics[t]] *= 1.0 - alpha
            total += best_gain / np.log2(position + 2.0)
        out[q] = total
