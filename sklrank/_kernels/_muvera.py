"""Fixed-dimensional encodings: one vector for a matrix of token vectors.

Random hyperplanes divide the space into 2 ** n_bits cells, differently in each repetition. Similar tokens are mostly in
the same cell. The tokens of a query are summed in each cell, those of a document averaged. Therefore the inner product
adds, for each token of the query, its similarity to near tokens of the document, which is about the largest similarity.
"""

import numpy as np

from sklrank._kernels._jit import kernel


@kernel
def fill_cells(sides, projected, n_bits, is_query, out):
    """Add the tokens of one text in their cells.

    Parameters
    ----------
    sides : ndarray of shape (n_tokens, n_repetitions * n_bits), dtype=float32
        Side of each hyperplane on which the tokens lie: positive or not.
    projected : ndarray of shape (n_tokens, n_repetitions * n_components), dtype=float32
        Projection of the tokens in each repetition.
    n_bits : int
    is_query : bool
        Whether cells hold sums. Otherwise, cells hold means, and an empty cell holds the first token among those whose
        cells differ from it by the fewest bits.
    out : ndarray of shape (n_repetitions, 2 ** n_bits, n_components), dtype=float32
        Output; 0 at the beginning.
    """
    n = sides.shape[0]
    n_repetitions, n_cells, width = out.shape
    cells = np.empty(n, dtype=np.int64)
    counts = np.empty(n_cells, dtype=np.int64)
    for r in range(n_repetitions):
        counts[:] = 0
        for t in range(n):
            cell = 0
            for b in range(n_bits):
                cell = 2 * cell + (sides[t, r * n_bits + b] > 0)
            cells[t] = cell
            counts[cell] += 1
            for j in range(width):
                out[r, cell, j] += projected[t, r * width + j]
        if is_query:
            continue
        for cell in range(n_cells):
            if counts[cell] > 0:
                for j in range(width):
                    out[r, cell, j] /= counts[cell]
                continue
            nearest = 0
            least = n_bits + 1
            for t in range(n):
                different = cell ^ cells[t]
                distance = 0
                while different:
                    distance += different & 1
                    different >>= 1
                if distance < least:
                    nearest = t
                    least = distance
            for j in range(width):
                out[r, cell, j] = projected[nearest, r * width + j]
