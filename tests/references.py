"""Definitions in plain Python: a few lines each, slow and obviously right.

A ranking is a list of ids, best first; judgments are a dict of ids to grades.
"""

import math


def order(scores, dtype=float):
    """trec_eval's order: score, then docid, both descending."""
    return sorted(scores, key=lambda docid: (dtype(scores[docid]), docid), reverse=True)


def grades_of(ranking, judged, k=None):
    return [judged.get(docid, 0) for docid in ranking[:k]]


def n_relevant(judged, level=1):
    return sum(grade >= level for grade in judged.values())


def dcg(grades, gain=float):
    return sum(gain(max(grade, 0)) / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


def ndcg(ranking, judged, k=None, gain=float):
    ideal = dcg(sorted(judged.values(), reverse=True)[:k], gain)
    return dcg(grades_of(ranking, judged, k), gain) / ideal if ideal else math.nan


def average_precision(ranking, judged, k=None, level=1):
    relevant = [grade >= level for grade in grades_of(ranking, judged, k)]
    total = sum(sum(relevant[:rank]) / rank for rank in range(1, len(relevant) + 1) if relevant[rank - 1])
    return total / n_relevant(judged, level) if n_relevant(judged, level) else math.nan


def reciprocal_rank(ranking, judged, k=None, level=1):
    ranks = [rank for rank, grade in enumerate(grades_of(ranking, judged, k), start=1) if grade >= level]
    return (1 / ranks[0] if ranks else 0.0) if n_relevant(judged, level) else math.nan


def precision(ranking, judged, k, level=1):
    return found(ranking, judged, k, level) / k if n_relevant(judged, level) else math.nan


def found(ranking, judged, k=None, level=1):
    return sum(judged.get(docid, -1) >= level for docid in ranking[:k])


def recall(ranking, judged, k=None, level=1):
    return found(ranking, judged, k, level) / n_relevant(judged, level) if n_relevant(judged, level) else math.nan


def f1(ranking, judged, k, level=1):
    p, r = precision(ranking, judged, k, level), recall(ranking, judged, k, level)
    return 2 * p * r / (p + r) if p + r else p + r


def r_precision(ranking, judged, level=1):
    n = n_relevant(judged, level)
    return found(ranking, judged, n, level) / n if n else math.nan


def rank_biased_precision(ranking, judged, p, gain, k=None):
    grades = grades_of(ranking, judged, k)
    return (1 - p) * sum(gain(grade) * p**position for position, grade in enumerate(grades))


def expected_reciprocal_rank(ranking, judged, k=None, max_grade=4):
    total, unsatisfied = 0.0, 1.0
    for rank, grade in enumerate(grades_of(ranking, judged, k), start=1):
        chance = (2 ** max(grade, 0) - 1) / 2**max_grade
        total += unsatisfied * chance / rank
        unsatisfied *= 1 - chance
    return total


def bpref(ranking, judged, level=1):
    n, irrelevant = n_relevant(judged, level), sum(0 <= grade < level for grade in judged.values())
    known = [judged[docid] for docid in ranking if judged.get(docid, -1) >= 0]
    above = [sum(grade < level for grade in known[:i]) for i, grade in enumerate(known) if grade >= level]
    return sum(1 - min(a, n) / min(irrelevant, n) if a else 1.0 for a in above) / n if n else math.nan


def interpolated_precision(ranking, judged, level_of_recall, level=1):
    n = n_relevant(judged, level)
    needed = math.floor(level_of_recall * n + 0.5)
    precisions = [found(ranking, judged, k, level) / k for k in range(1, len(ranking) + 1)]
    return max((p for k, p in enumerate(precisions, 1) if found(ranking, judged, k, level) >= needed), default=0.0)


def judged_at_k(ranking, judged, k):
    top = ranking[:k]
    return sum(docid in judged for docid in top) / len(top) if top else 0.0


def alpha_ndcg(ranking, topics, alpha, k=None):
    """`topics` is a dict of ids to sets of subtopics."""

    def gains(order):
        seen, out = {}, []
        for docid in order:
            out.append(sum((1 - alpha) ** seen.get(t, 0) for t in topics.get(docid, ())))
            for t in topics.get(docid, ()):
                seen[t] = seen.get(t, 0) + 1
        return out

    ideal = []
    for _ in topics:
        left = sorted(set(topics) - set(ideal), reverse=True)
        ideal.append(max(left, key=lambda docid: gains([*ideal, docid])[-1]))
    discounted = [sum(g / math.log2(i + 2) for i, g in enumerate(gains(o)[:k])) for o in (ranking, ideal)]
    return discounted[0] / discounted[1] if discounted[1] else math.nan
