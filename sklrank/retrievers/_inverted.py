"""What retrievers over an inverted index have in common."""

import numpy as np

from sklrank._validation import check_fitted
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._explain import Explanation
from sklrank.retrievers._filters import rank_filtered


class InvertedIndexRetriever(CorpusRetriever):
    """Base of retrievers over an inverted index.

    A subclass has an `index_` after `fit`, says in `_formula` which parameters its scores depend on, makes of them a
    `Weighting` of the index in `_weigh`, and turns queries into weighted terms in `_prepare`.
    """

    _counted = True  # whether a document holds a term some times, rather than with some weight
    _log_likelihood = False  # whether scores are logarithms of the query's likelihood, but for a constant

    def _impacts(self):
        formula = self._formula()
        try:
            return self.index_.impacts(formula, self._validated_weigh)
        except TypeError:  # a parameter that is not even hashable
            self._validated_weigh(self.index_)
            raise

    def _validated_weigh(self, index):
        self._validate_params()
        return self._weigh(index)

    def _search(self, X, k, filter=None):
        self._check_call(k)
        queries, terms = self._prepare(X)
        return self._run(*self._rank(queries, terms, k, filter), queries, k)

    def _rank(self, queries, terms, k, filter):
        """The k best documents of each query, given its terms and their weights.

        Parameters
        ----------
        queries : Queries
        terms : tuple of ndarray
            Bounds, terms and weights of the queries, as from `_prepare`: int64, uint32, float32.
        k : int
        filter : mask, list of ids, one of these per query, or None
            As for `transform`.

        Returns
        -------
        bounds, rows, scores : ndarray of int64, int64, float32
            Ragged rankings.
        """
        impacts = self._impacts()
        indptr, terms, weights = self._in_units(*terms)

        def search(start, stop, masks, mask_of):
            bounds = indptr[start : stop + 1]
            inside = slice(bounds[0], bounds[-1])
            return impacts.search(bounds - bounds[0], terms[inside], weights[inside], k, masks, mask_of, self.n_jobs)

        return rank_filtered(search, self._chosen_filter(filter, queries), len(queries), self.corpus_)

    def _in_units(self, indptr, terms, weights):
        """Terms of queries, with weights for the integers that stand in the index instead of weights."""
        units = self.index_.units
        return indptr, terms, weights if units is None else (weights * units[terms]).astype(np.float32)

    # --- for people
    def _one_query(self, query):
        """The terms of one query and their weights, ragged."""
        check_fitted(self, "index_")
        _, terms = self._prepare([query] if isinstance(query, str) else query)
        if len(terms[0]) != 2:
            raise ValueError(f"one query is needed, got {len(terms[0]) - 1}")
        return terms

    def _term_names(self, terms):
        vectorizer = self.index_.vectorizer
        if not hasattr(vectorizer, "get_feature_names_out"):
            return [str(t) for t in terms.tolist()]
        return vectorizer.get_feature_names_out()[terms.astype(np.int64)].tolist()

    def explain(self, query, docid):
        """Take the score of a document apart.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.

        Returns
        -------
        Explanation
            What each term of the query contributes; the sum is the score.
        """
        return self._explanation(self._one_query(query), docid)

    def _explanation(self, terms, docid):
        impacts = self._impacts()
        _, terms, weights = impacts.order(*terms)
        row = int(self.corpus_.rows([docid])[0])
        indptr = np.array([0, len(terms)])
        values, counts, bias = impacts.contributions(*self._in_units(indptr, terms, weights)[1:], row)
        terms = terms.astype(np.int64)
        counts = counts if self.index_.units is None else counts * self.index_.units[terms]
        frequencies = self.index_.document_frequencies[terms]
        names = self._term_names(terms)
        return Explanation.of(docid, names, weights, counts, frequencies, values, bias, counted=self._counted)

    def __sklearn_is_fitted__(self):
        # Otherwise scikit-learn looks for any name with an underscore behind, and finds the parameter `lambda_`.
        return hasattr(self, "index_")


def heaviest(owners, terms, weights, n):
    """Which entries are among the `n` heaviest of their owner, equal weights in the order of the terms.

    Parameters
    ----------
    owners : ndarray of int64, ascending
        The query, or whatever else, that each entry belongs to.
    terms : ndarray
    weights : ndarray
    n : int

    Returns
    -------
    ndarray of int64
        Positions, ascending.
    """
    order = np.lexsort((terms, -weights, owners))
    first = np.searchsorted(owners, owners)
    return np.sort(order[np.arange(len(owners)) - first < n])
