"""The best of the candidates that an approximate index proposes."""

from sklrank._kernels._dense import _exact
from sklrank._kernels._jit import kernel


@kernel
def rank_candidates(vectors, queries, candidates, euclidean, rows, scores, counts, start, stop):
    """Score the candidates of queries ``start … stop``, and keep the best, by score, then row.

    Parameters
    ----------
    vectors : float32 (n_documents, n_features)
    queries : float32 (n_queries, n_features)
    candidates : int64 (n_queries, n_candidates)
        Documents, none twice in a row; negative ones are no documents.
    euclidean : bool
        Minus the distance, instead of the dot product.
    rows, scores : int64, float32 (n_queries, k)
        The best, in order.
    counts : int64 (n_queries,)
        How many of them there are.
    """
    k = rows.shape[1]
    for i in range(start, stop):
        n = 0
        for row in candidates[i]:
            if row < 0:
                continue
            score = _exact(queries, i, vectors, row, euclidean)
            # Candidates come nearly in order, so that a new one seldom moves far.
            place = n
            while place > 0 and scores[i, place - 1] <= score:
                if scores[i, place - 1] == score and rows[i, place - 1] < row:
                    break
                place -= 1
            if place == k:
                continue
            n = min(n + 1, k)
            for j in range(n - 1, place, -1):
                rows[i, j] = rows[i, j - 1]
                scores[i, j] = scores[i, j - 1]
            rows[i, place] = row
            scores[i, place] = score
        counts[i] = n
