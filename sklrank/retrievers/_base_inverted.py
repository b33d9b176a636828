"""Base of retrievers over an inverted index, and the terms of texts."""

from abc import abstractmethod
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metaestimators import available_if

from sklrank._caching.keys import estimator_key, parameters_key
from sklrank._validation import HasMethods, _fit_context, check_fitted, check_term_weights
from sklrank.data import Queries, StringArray, TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._explain import Explanation, Highlight, best_passage
from sklrank.retrievers._filters import rank_filtered
from sklrank.retrievers._index import Index, Segment


class InvertedIndexRetriever(CorpusRetriever):
    """Base of retrievers over an inverted index of terms; `vectorizer` makes the terms of texts.

    A subclass must give `_formula` and `_weigh`. It may give `_weigh_queries`; `_texts` and `_shared_index` if it
    indexes something else; `_prepare` and `_term_names` if its terms come from elsewhere.
    """

    _counted = True  # whether a document holds a term a number of times, rather than with a weight

    _refit_parameters = ("corpus", "field", "vectorizer")

    _parameter_constraints: dict = {
        **CorpusRetriever._parameter_constraints,
        "vectorizer": [HasMethods(["fit", "transform"]), None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Index the corpus; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        self._set_corpus(X, y)
        self.index_ = self._shared_index()
        if self.index_.vectorizer is None:
            self.n_features_in_ = self.index_.n_terms
        return self

    def ranking_key(self):
        """Return the key under which rankings may be kept: the parameters.

        Returns
        -------
        key : hashable or None
        """
        return parameters_key(self)

    # --- what a subclass gives
    @abstractmethod
    def _formula(self):
        """Name the formula and the parameters that scores depend on, hashable: they are the key of the impacts."""

    @abstractmethod
    def _weigh(self, index):
        """Return the `Weighting` of an index under the formula."""

    def _weigh_queries(self, indptr, terms, weights):
        """Weigh the terms of queries, which come with the number of times that they occur."""
        return weights

    def _texts(self):
        """Return the texts that are searched."""
        return self.corpus_.text(self.field)

    def _shared_index(self):
        """Return the index of the corpus, made once for all estimators with this vectorizer."""
        key = ("index", self._field, estimator_key(self.vectorizer))
        return self.corpus_.cached(key, lambda: _build_index(self), persist=True)

    def _prepare(self, X):
        """Return the queries, and their terms with weights: indptr, terms, weights (int64, uint32, float32)."""
        vectorizer = self.index_.vectorizer
        if vectorizer is None:
            matrix = check_term_weights(self, X.matrix if isinstance(X, Queries) else X, reset=False)
            queries = X if isinstance(X, Queries) else Queries.unnamed(matrix.shape[0])
            terms = _terms_of_matrix(matrix)
        else:
            queries = Queries.of(X)
            terms = _terms_of_texts(queries.texts, vectorizer)
        return queries, (*terms[:2], self._weigh_queries(*terms))

    def _term_names(self, terms):
        """Return the name of each term."""
        return names_of(self.index_.vectorizer, terms)

    # --- what the base does with it
    def _check_documents(self, X):
        return check_term_weights(self, X, reset=True) if self.vectorizer is None else X

    def _impacts(self):
        """Return the impacts of the index under the formula, made once for each formula."""

        def weigh(index):
            self._validate_params()
            return self._weigh(index)

        formula = self._formula()
        try:
            return self.index_.impacts(formula, weigh)
        except TypeError:  # a parameter that is not even hashable
            weigh(self.index_)
            raise

    def _search(self, X, k, filter=None):
        self._check_call(k)
        queries, terms = self._prepare(X)
        return self._run(*self._rank(queries, terms, k, filter), queries, k)

    def _rank(self, queries, terms, k, filter):
        """Find the k best documents of each query, given its terms and their weights.

        Parameters
        ----------
        queries : Queries
        terms : tuple of ndarray
            As from `_prepare`.
        k : int
        filter : mask, list of ids, one of these per query, or None
            As for `transform`.

        Returns
        -------
        indptr, rows, scores : ndarray of int64, int64, float32
            Ragged rankings.
        """
        impacts = self._impacts()
        indptr, terms, weights = _in_units(self.index_, *terms)

        def search(start, stop, masks, mask_of):
            edges = indptr[start : stop + 1]
            inside = slice(edges[0], edges[-1])
            return impacts.search(edges - edges[0], terms[inside], weights[inside], k, masks, mask_of, self.n_jobs)

        return rank_filtered(search, self._chosen_filter(filter, queries), len(queries), self.corpus_)

    # --- for people
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
        return explain_terms(self, _one_query(self, query), docid)

    @available_if(lambda self: hasattr(self, "vectorizer"))
    def highlight(self, query, docid, window=40):
        """Find the passage of a document that matches a query best, and the matches in it.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.
        window : int, default=40
            Length of the passage, in terms that the index holds.

        Returns
        -------
        Highlight
            Text of the document, bounds of the passage, and spans of matched terms, in characters.
        """
        terms = _one_query(self, query)
        impacts = self._impacts()
        _, terms, weights = impacts.order(*terms)
        vectorizer = self.index_.vectorizer
        if not isinstance(vectorizer, TermVectorizer):
            raise ValueError("highlight needs the positions of terms in the text, which only a TermVectorizer tells")
        if not isinstance(window, Integral) or window < 1:
            raise ValueError(f"window is a number of terms, an int of at least 1; got {window!r}")
        row = int(self.corpus_.rows([docid])[0])
        values, _, _ = impacts.contributions(terms, weights, row)
        text = self._texts()[row]
        starts, ends, found = vectorizer.spans(text)
        order = np.lexsort((ends, starts))  # n-grams come by length
        starts, ends, found = starts[order], ends[order], found[order]
        start, stop, matched = best_passage(found, terms, values, window)
        spans = [(int(starts[i]), int(ends[i])) for i in matched]
        bounds = (int(starts[start]), int(ends[start:stop].max())) if stop > start else (0, 0)
        return Highlight(docid, text, *bounds, spans)

    def __sklearn_is_fitted__(self):
        # Otherwise scikit-learn looks for any name with an underscore behind, and finds the parameter `lambda_`.
        return hasattr(self, "index_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = getattr(self, "vectorizer", None) is None
        tags.input_tags.positive_only = True
        return tags


def explain_terms(retriever, terms, docid):
    """Take the score of a document for weighted terms apart.

    Parameters
    ----------
    retriever : InvertedIndexRetriever
        Fitted.
    terms : tuple of ndarray
        Terms of one query and their weights, as from ``retriever._prepare``.
    docid : str
        The document.

    Returns
    -------
    Explanation
    """
    index, impacts = retriever.index_, retriever._impacts()
    _, terms, weights = impacts.order(*terms)
    row = int(retriever.corpus_.rows([docid])[0])
    values, counts, bias = impacts.contributions(*_in_units(index, None, terms, weights)[1:], row)
    terms = terms.astype(np.int64)
    counts = counts if index.units is None else counts * index.units[terms]
    names, frequencies = retriever._term_names(terms), index.document_frequencies[terms]
    return Explanation.of(docid, names, weights, counts, frequencies, values, bias, counted=retriever._counted)


def heaviest(owners, terms, weights, n):
    """Find the entries that are among the `n` heaviest of their owner, equal weights in the order of the terms.

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


def _build_index(retriever):
    """Index the corpus of a retriever: a matrix of term weights, or the terms that the vectorizer makes of texts."""
    corpus, vectorizer = retriever.corpus_, retriever.vectorizer
    if vectorizer is None and _holds_weights(corpus, retriever.field):
        matrix = corpus.matrix(retriever.field)
        if isinstance(matrix, TokenVectors):
            raise TypeError(
                f"the documents are TokenVectors, which are for LateInteractionRetriever; {type(retriever).__name__} "
                "needs texts, or a matrix of term weights"
            )
        matrix = check_term_weights(retriever, matrix, reset=True)
        return Index([Segment.from_matrix(0, matrix)], matrix.shape[1])
    texts = retriever._texts()
    vectorizer = TermVectorizer() if vectorizer is None else clone(vectorizer)
    frozen = isinstance(vectorizer, FrozenEstimator)  # which clone left as it is, fitted
    vectorizer = vectorizer.estimator if frozen else vectorizer
    if isinstance(vectorizer, TermVectorizer):
        token_ids, indptr = vectorizer.token_ids(texts) if frozen else vectorizer.fit_token_ids(texts)
        n_terms = len(vectorizer.vocabulary_)
        return Index([Segment.from_tokens(0, token_ids, indptr, n_terms)], n_terms, vectorizer)
    weights = (vectorizer.transform if frozen else vectorizer.fit_transform)(texts.tolist())
    matrix = check_term_weights(None, weights)
    return Index([Segment.from_matrix(0, matrix)], matrix.shape[1], vectorizer)


def _one_query(retriever, query):
    """Terms of one query and their weights, ragged."""
    check_fitted(retriever, "index_")
    _, terms = retriever._prepare([query] if isinstance(query, str) else query)
    if len(terms[0]) != 2:
        raise ValueError(f"one query is needed, got {len(terms[0]) - 1}")
    return terms


def _in_units(index, indptr, terms, weights):
    """Terms of queries, with weights for the integers that an index may hold in place of weights."""
    return indptr, terms, weights if index.units is None else (weights * index.units[terms]).astype(np.float32)


def names_of(vectorizer, terms):
    """Return the names of terms, or their numbers if the vectorizer names none.

    Parameters
    ----------
    vectorizer : encoder or None
    terms : ndarray of int

    Returns
    -------
    list of str
    """
    if not hasattr(vectorizer, "get_feature_names_out"):
        return [str(t) for t in terms.tolist()]
    return vectorizer.get_feature_names_out()[terms.astype(np.int64)].tolist()


def _holds_weights(corpus, field):
    """Whether the documents are term weights: the corpus was made from a matrix, and has no text beside it."""
    names = ("title", "text") if field is None else np.atleast_1d(field).tolist()
    has_text = any(name in corpus.columns and isinstance(corpus[name], StringArray) for name in names)
    return corpus.is_matrix and not has_text


def _terms_of_matrix(matrix):
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32), matrix.data.astype(np.float32)


def _terms_of_texts(texts, vectorizer):
    if not isinstance(vectorizer, TermVectorizer):
        return _terms_of_matrix(check_term_weights(None, vectorizer.transform(texts)))
    terms, indptr = vectorizer.token_ids(texts)
    return indptr, terms, np.ones(len(terms), dtype=np.float32)
