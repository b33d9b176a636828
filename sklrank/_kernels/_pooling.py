"""Groups of similar tokens of a text by Ward's hierarchical clustering."""

import numpy as np

from sklrank._kernels._jit import kernel


@kernel
def ward_groups(d, n_groups, labels):
    """Merge the two groups that increase the sum of squares least, until `n_groups` are left.

    Parameters
    ----------
    d : ndarray of shape (n_tokens, n_tokens), dtype=float64
        Squared distances; infinite on the diagonal. Overwritten.
    n_groups : int
    labels : ndarray of shape (n_tokens,), dtype=int64
        Group of each token, as the number of the first token of the group.
    """
    n = d.shape[0]
    sizes = np.ones(n)  # 0 if the group was merged into another group
    nearest = np.empty(n, dtype=np.int64)
    for a in range(n):
        labels[a] = a
        nearest[a] = np.argmin(d[a])
    for _ in range(n - n_groups):
        a = 0
        least = np.inf
        for x in range(n):
            if sizes[x] > 0 and d[x, nearest[x]] < least:
                a = x
                least = d[x, nearest[x]]
        b = max(a, nearest[a])
        a = min(a, nearest[a])
        for x in range(n):
            if sizes[x] > 0 and x != a and x != b:
                # recurrence of Lance and Williams for Ward's criterion
                grown = (sizes[a] + sizes[x]) * d[a, x] + (sizes[b] + sizes[x]) * d[b, x] - sizes[x] * least
                d[a, x] = d[x, a] = max(grown / (sizes[a] + sizes[b] + sizes[x]), 0.0)
            d[x, b] = d[b, x] = np.inf
        sizes[a] += sizes[b]
        sizes[b] = 0
        for x in range(n):
            if labels[x] == b:
                labels[x] = a
            if sizes[x] > 0 and (x == a or nearest[x] == a or nearest[x] == b):
                nearest[x] = np.argmin(d[x])
