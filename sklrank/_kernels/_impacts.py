"""Formulas that turn the count of a term in a document into its impact, the contribution to the score."""

import numpy as np

from sklrank._kernels._jit import kernel

# The impact of a count c, given the scale s of the term, the norm n of the document and two parameters.
SATURATED = 0  # s * (c / (c + n) + first)
SHIFTED = 1  # s * (c / n + first) / (c / n + first + second)
LOGARITHMIC = 2  # log(1 + s * c / n)
LINEAR = 3  # s * c / n
SUBLINEAR = 4  # s * (1 + log(c)) / n
POISSON = 5  # PL2 of a mean count s; c * n is the normalized count
HYPERGEOMETRIC = 6  # DLH; n is the length of the document, s / n the expected count of the term in n tokens
POPPER = 7  # DPH; as in DLH

_LOG2_E = 1 / np.log(2)
_MOST = 0.99999  # share of the only term of a document, as in Terrier, so that the logarithm of the rest is finite


@kernel
def fill_impacts(terms, term_indptr, docs, counts, scales, norms, form, first, second, impacts, maxima, reaches):
    """Compute the impacts of the lists in `terms`, the largest impact of each list, and bounds.

    `scales` holds the scale of each of `terms`, in this order; all other arrays of terms hold all terms of the segment.
    `reaches` gets an upper bound of the impacts of each term; infinity if an impact is negative or not finite, so that
    there is no bound to prune by. Returns the largest magnitude of an impact; infinity if an impact is not finite.
    """
    peak = np.float32(0.0)
    finite = True
    for i in range(terms.size):
        t = terms[i]
        s = scales[i]
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
                f = _MOST
                if c < n:
                    f = c / n
                x = c * np.log2(c * s / n) + 0.5 * np.log2(2 * np.pi * c * (1.0 - f))
                if form == HYPERGEOMETRIC:
                    x = (x + (n - c) * np.log2(1.0 - f)) / (c + 0.5)
                else:
                    x = (1.0 - f) ** 2 * x / (c + 1.0)
            impact = np.float32(x) + np.float32(0.0)  # never -0.0, which marks a sum to which nothing was added
            impacts[p] = impact
            finite &= np.isfinite(impact)
            largest = max(largest, impact)
            smallest = min(smallest, impact)
        maxima[t] = largest
        peak = max(peak, largest, -smallest)
        if smallest < 0:
            reaches[t] = np.inf
        else:
            reaches[t] = max(reaches[t], largest)
    if not finite:
        return np.float32(np.inf)
    return peak


@kernel
def _add_field(terms, indptr, docs, counts, factors, first, out):
    for i in range(terms.size):
        for p in range(indptr[terms[i]], indptr[terms[i] + 1]):
            value = np.float32(0.0)
            if not first:
                value = out[p]
            out[p] = value + counts[p] * factors[docs[p]]


def add_up_fields(terms, indptr, docs, counts, factors, out):
    """Write the sum over the fields of count times factor of the document to `out`, for the lists of `terms`.

    Parameters
    ----------
    terms : ndarray of int64
    indptr, docs : ndarray
        From `_postings.invert`.
    counts : list of ndarray of float32, shape (n_postings,)
        Counts in each field.
    factors : list of ndarray of float32, shape (n_documents,)
        Factors of each field.
    out : ndarray of float32, shape (n_postings,)
        Output.
    """
    for i in range(len(counts)):
        _add_field(terms, indptr, docs, counts[i], factors[i], i == 0, out)
