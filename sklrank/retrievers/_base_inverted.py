"""Base of retrievers over an inverted index of terms."""

from abc import abstractmethod
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metaestimators import available_if

from sklrank._caching.keys import estimator_key, field_key
from sklrank._caching.ranking_keys import parameters_key
from sklrank._update import of_one_state
from sklrank._validation import HasMethods, _fit_context, check_fitted, check_term_weights
from sklrank.data import Queries, Run, TokenVectors
from sklrank.data._table import VECTOR
from sklrank.encoders import TermVectorizer
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._explain import Explanation, Highlight, best_passage
from sklrank.retrievers._filters import rank_filtered
from sklrank.retrievers._index import Index, Segment, learns_terms_only
from sklrank.retrievers._learning import learns_from_documents


class InvertedIndexRetriever(CorpusRetriever):
    """Base of retrievers over an inverted index of terms, which `vectorizer` makes from texts.

    A subclass must give `_formula` and `_weigh`. It may give `_weigh_queries`; `_columns` and `_shared_index` if it
    indexes other texts; `_prepare` and `_term_names` if its terms do not come from `vectorizer`.
    """

    _loss = "no shared term"  # why a document is not found, for `sklrank.inspection.waterfall`

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
            Queries, or the documents if `corpus` is None.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

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
        """Return the key under which rankings may be cached: the parameters.

        Returns
        -------
        key : hashable or None
        """
        return parameters_key(self)

    # --- methods that a subclass gives
    @abstractmethod
    def _formula(self):
        """Return the name of the formula and its parameters, hashable, as the key of the impacts."""

    @abstractmethod
    def _weigh(self, index):
        """Return the `Weighting` of an index under the formula."""

    def _weigh_queries(self, indptr, terms, weights):
        """Return the weights of the terms of queries, given the number of times that each term occurs."""
        return weights

    def _text(self, row):
        """Return the text of a document."""
        return self.corpus_.text(self._columns(), rows=[row])[0]

    def _shared_index(self):
        """Return the index of the corpus, which all estimators with this vectorizer share."""
        key = ("index", field_key(self.field), estimator_key(self.vectorizer))
        return index_of_parts(self.corpus_, key, partial(_build_index, self), self.vectorizer, self._columns())

    def _columns(self):
        """Return the names of the columns that are indexed."""
        if self.vectorizer is None and _holds_weights(self.corpus_, self.field):
            return (self.field or VECTOR,)
        return self.corpus_.text_columns(self.field)

    def _prepare(self, X):
        """Return the queries, and their terms with weights: indptr, terms, weights (int64, uint32, float32)."""
        vectorizer = self.index_.vectorizer
        if vectorizer is not None:
            queries = Queries.of(X)
            terms = _terms_of_texts(queries.texts, vectorizer)
        elif isinstance(X, Queries):
            queries = X
            terms = _terms_of_matrix(check_term_weights(self, X.matrix, reset=False))
        else:
            matrix = check_term_weights(self, X, reset=False)
            queries = Queries.unnamed(matrix.shape[0])
            terms = _terms_of_matrix(matrix)
        return queries, (*terms[:2], self._weigh_queries(*terms))

    def _term_names(self, terms):
        """Return the name of each term."""
        return names_of(self.index_.vectorizer, terms)

    # --- methods of the base
    def _check_documents(self, X):
        if self.vectorizer is not None:
            return X
        return check_term_weights(self, X, reset=True)

    def _impacts(self):
        """Return the impacts of the index under the formula, which are shared by all that use the formula."""
        formula = self._formula()
        try:
            return self.index_.impacts(formula, self._weigh)
        except TypeError:  # a weight of a field is not hashable, which has its own error
            self._weigh(self.index_)
            raise

    def _search(self, X, k, filter=None):
        check_fitted(self, "index_")
        queries, terms = self._prepare(X)
        ranked = self._rank(queries, terms, k, filter)
        return Run.from_ragged(*ranked, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _rank(self, queries, terms, k, filter):
        """Return the k best documents of each query, given its terms and their weights.

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
        if filter is None:
            filter = self.filter_of(queries)

        def search(start, stop, masks, mask_of):
            edges = indptr[start : stop + 1]
            inside = slice(edges[0], edges[-1])
            return impacts.search(edges - edges[0], terms[inside], weights[inside], k, masks, mask_of, self.n_jobs)

        return rank_filtered(search, filter, len(queries), self.corpus_)

    # --- methods for single queries
    def explain(self, query, docid):
        """Explain the score of a document for a query.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.

        Returns
        -------
        Explanation
            Contribution of each term of the query; the sum is the score.
        """
        return explain_terms(self, _one_query(self, query), docid)

    @available_if(lambda self: hasattr(self, "vectorizer"))
    @of_one_state
    def highlight(self, query, docid, window=40):
        """Find the passage of a document that matches a query best, and the matched terms.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.
        window : int, default=40
            Length of the passage, in terms of the index.

        Returns
        -------
        Highlight
            Text of the document, bounds of the passage, and spans of the matched terms, in characters.
        """
        terms = _one_query(self, query)
        impacts = self._impacts()
        _, terms, weights = impacts.order(*terms)
        vectorizer = self.index_.vectorizer
        if not isinstance(vectorizer, TermVectorizer):
            raise ValueError("highlight needs the positions of terms in the text, which only a TermVectorizer knows")
        if not isinstance(window, Integral) or window < 1:
            raise ValueError(f"window is a number of terms: expected an int of at least 1, got {window!r}")
        row = int(self.corpus_.rows([docid])[0])
        values, _, _ = impacts.contributions(terms, weights, row)
        text = self._text(row)
        starts, ends, found = vectorizer.spans(text)
        order = np.lexsort((ends, starts))  # n-grams are ordered by length
        starts, ends, found = starts[order], ends[order], found[order]
        start, stop, matched = best_passage(found, terms, values, window)
        spans = [(int(starts[i]), int(ends[i])) for i in matched]
        first = last = 0
        if stop > start:
            first, last = int(starts[start]), int(ends[start:stop].max())
        return Highlight(docid, text, first, last, spans)

    def __sklearn_is_fitted__(self):
        # By default, scikit-learn looks for any name that ends in an underscore, and finds the parameter `lambda_`.
        return hasattr(self, "index_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = getattr(self, "vectorizer", None) is None
        tags.input_tags.positive_only = True
        return tags


def explain_terms(retriever, terms, docid):
    """Explain the score of a document for weighted terms.

    Parameters
    ----------
    retriever : InvertedIndexRetriever
        The fitted retriever.
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
    if index.units is not None:
        counts *= index.units[terms]
    names, frequencies = retriever._term_names(terms), index.document_frequencies[terms]
    return Explanation.of(docid, names, weights, counts, frequencies, values, bias, impacts.weighting.counted)


def heaviest(owners, terms, weights, n):
    """Find the `n` heaviest entries of each owner; equal weights are in the order of the terms.

    Parameters
    ----------
    owners : ndarray of int64, ascending
        Query or document that each entry belongs to.
    terms : ndarray
    weights : ndarray
    n : int

    Returns
    -------
    ndarray of int64
        Positions of the entries, ascending.
    """
    order = np.lexsort((terms, -weights, owners))
    first = np.searchsorted(owners, owners)
    return np.sort(order[np.arange(len(owners)) - first < n])


def index_of_parts(corpus, key, build, vectorizer, columns):
    """Return the index of a corpus; after a change of the corpus, only new documents are tokenized.

    The indexes of the parts of the corpus are merged. A vectorizer that learns more than the terms from all documents,
    such as one with `min_df`, is fitted again on all documents.

    Parameters
    ----------
    corpus : Corpus
    key : hashable
        Key of the index in the cache of the corpus.
    build : callable
        Function from a corpus, which may be a part, to its `Index`.
    vectorizer : transformer or None
        The vectorizer before `fit`.
    columns : tuple of str
        Names of the columns that are indexed.

    Returns
    -------
    Index
    """
    if learns_from_documents(vectorizer) and not learns_terms_only(vectorizer):
        index = corpus.cached(key, lambda: build(corpus), persist=True, columns=columns)
    else:
        index = corpus.merged_parts(key, build, _merge, columns=columns, persist=True)
    if not index.n_terms:
        raise ValueError("empty vocabulary; perhaps the documents only contain stop words")
    return index


def _merge(indexes, sources):
    """Return the index of documents that come from several parts."""
    documents = [np.full(index.n_documents, -1) for index in indexes]
    for part, numbers in enumerate(documents):
        places = np.flatnonzero(sources.parts == part)
        numbers[sources.locals[places]] = places
    return Index.merged(indexes, documents)


def _build_index(retriever, corpus):
    """Index a corpus or a part of it: a matrix of term weights, or the terms that the vectorizer makes from texts."""
    vectorizer = retriever.vectorizer
    if vectorizer is None and _holds_weights(corpus, retriever.field):
        matrix = corpus.matrix(retriever.field)
        if isinstance(matrix, TokenVectors):
            raise TypeError(
                f"{type(retriever).__name__} expected texts or a matrix of term weights as documents, got "
                "TokenVectors: use LateInteractionRetriever"
            )
        matrix = check_term_weights(retriever, matrix, reset=True)
        return Index([Segment.from_matrix(0, matrix)], matrix.shape[1])
    texts = corpus.text_reader(retriever._columns())
    frozen = isinstance(vectorizer, FrozenEstimator)
    if frozen:
        vectorizer = vectorizer.estimator
    elif vectorizer is None:
        vectorizer = TermVectorizer()
    else:
        vectorizer = clone(vectorizer)
    if isinstance(vectorizer, TermVectorizer):
        if frozen:
            token_ids, indptr = vectorizer.token_ids(texts)
        else:
            token_ids, indptr = vectorizer._learn(texts, may_be_empty=True)
        n_terms = len(vectorizer.vocabulary_)
        segment = Segment.from_tokens(0, token_ids, indptr, n_terms)
        return Index([segment], n_terms, vectorizer, learned=not frozen and learns_terms_only(vectorizer))
    weigh = vectorizer.transform if frozen else vectorizer.fit_transform
    matrix = check_term_weights(None, weigh(texts.tolist()))
    return Index([Segment.from_matrix(0, matrix)], matrix.shape[1], vectorizer)


def _one_query(retriever, query):
    """Return the terms of one query and their weights, ragged."""
    check_fitted(retriever, "index_")
    if isinstance(query, str):
        query = [query]
    _, terms = retriever._prepare(query)
    if len(terms[0]) != 2:
        raise ValueError(f"expected one query, got {len(terms[0]) - 1}")
    return terms


def _in_units(index, indptr, terms, weights):
    """Return the terms of queries with weights for the integers that the index may hold instead of weights."""
    if index.units is not None:
        with np.errstate(over="ignore"):  # an infinite weight is refused before the search
            weights = (weights * index.units[terms]).astype(np.float32)
    return indptr, terms, weights


def names_of(vectorizer, terms):
    """Return the names of terms, or their numbers if the vectorizer does not name them.

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
    """Whether the documents are term weights: the corpus was made from a matrix, and has no text in `field`."""
    names = ("title", "text") if field is None else np.atleast_1d(field).tolist()
    return corpus.is_matrix and not any(corpus.kinds.get(name) == "text" for name in names)


def _terms_of_matrix(matrix):
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32), matrix.data.astype(np.float32)


def _terms_of_texts(texts, vectorizer):
    if not isinstance(vectorizer, TermVectorizer):
        return _terms_of_matrix(check_term_weights(None, vectorizer.transform(texts)))
    terms, indptr = vectorizer.token_ids(texts)
    return indptr, terms, np.ones(len(terms), dtype=np.float32)
