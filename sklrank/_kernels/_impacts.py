"""Formulas: how often a term occurs in a document becomes what it adds to the score, its impact."""

import numpy as np

from sklrank._kernels._jit import kernel

# How a count c becomes an impact, given the term's scale s, the document's norm n and two parameters.
SATURATED = 0  # s * (c / (c + n) + first)
SHIFTED = 1  # s * (c / n + first) / (c / n + first + second)
LOGARITHMIC = 2  # log(1 + s * c / n)
LINEAR = 3  # s * c / n
SUBLINEAR = 4  # s * (1 + log(c)) / n
POISSON = 5  # PL2 of a mean count s; c * n is the normalized count
HYPERGEOMETRIC = 6  # DLH; n is the document's length, s / n the count to expect of a term in so many tokens
POPPER = 7  # DPH; as in DLH

_LOG2_E = 1 / np.log(2)
_MOST = 0.99999  # Terrier's share of a term that is all of its document, whose logarithm of the rest is finite


@kernel
def fill_impacts(terms, term_indptr, docs, counts, scales, norms, form, first, second, impacts, maxima, reaches):
    """Compute the impacts of the lists in `terms`, the largest of each, and what a search may rely on.

    `reaches` gets for each term a number that none of its impacts exceeds; infinity if some are negative or no finite
    numbers, so that they have no bound to prune by. Returns whether all impacts are finite.
    """
    finite = True
    for i in range(terms.size):
        t = terms[i]
        s = scales[t]
        largest = np.float32(0.0)
        smallest = np.float32(0.0)
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
            elif form == SUBLINEAR:
                x = s * (1.0 + np.log(c)) / n
            elif form == POISSON:
                x = c * n
                x = (x * (np.log2(x / s) - _LOG2_E) + s * _LOG2_E + 0.5 * np.log2(2 * np.pi * x)) / (x + 1.0)
            else:
                f = c / n if c < n else _MOST
                x = c * np.log2(c * s / n) + 0.5 * np.log2(2 * np.pi * c * (1.0 - f))
                if form == HYPERGEOMETRIC:
                    x = (x + (n - c) * np.log2(1.0 - f)) / (c + 0.5)
                else:
                    x = (1.0 - f) ** 2 * x / (c + 1.0)
            impact = np.float32(x) + np.float32(0.0)  # -0.0 is a sum that nothing was added to
            impacts[p] = impact
            finite &= np.isfinite(impact)
            largest = max(largest, impact)
            smallest = min(smallest, impact)
        maxima[t] = largest
        reaches[t] = np.inf if smallest < 0 else max(reaches[t], largest)
    return finite
