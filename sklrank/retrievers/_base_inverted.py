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
from sklrank.retrievers._index import Index
from sklrank.retrievers._learning import learns_from_documents, learns_terms_only
from sklrank.retrievers._segment import Segment

_LENGTHS = "n_tokens"  # column with the lengths of documents that are a matrix of term weights, if it exists


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
        if self.index_.analyzer is None:
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

    def _weigh_queries(self, bags):
        """Return the weights of the terms of queries, given `Bags` of the number of times that each term occurs."""
        return bags.weights

    def _text(self, row):
        """Return the text of a document."""
        return self.corpus_.text(self._columns(), rows=[row])[0]

    def _shared_index(self):
        """Return the index of the corpus, which all estimators with this vectorizer share."""
        key = ("index", field_key(self.field), estimator_key(self.vectorizer))
        vectorizer = self.vectorizer
        if _holds_weights(self.corpus_, self.field):
            vectorizer = None  # it learns nothing from the documents
        return index_of_parts(self.corpus_, key, partial(_build_index, self), vectorizer, self._columns())

    def _columns(self):
        """Return the names of the columns that are indexed."""
        if not _holds_weights(self.corpus_, self.field):
            return self.corpus_.text_columns(self.field)
        columns = (self.field or VECTOR, _LENGTHS)
        return tuple(name for name in columns if name in self.corpus_.columns)

    def _prepare(self, X, among_all=False):
        """Return the queries and `Bags` of their terms; `among_all` asks for the numbers of terms among all terms."""
        index, analyzer = self.index_, self.index_.analyzer
        if isinstance(analyzer, TermVectorizer):
            queries = Queries.of(X)
            bags = index.bags_of_texts(queries.texts, among_all)
        else:
            if analyzer is not None:
                queries = Queries.of(X)
                matrix = check_term_weights(None, analyzer.transform(queries.texts))
            elif isinstance(X, Queries):
                queries, matrix = X, check_term_weights(self, X.matrix, reset=False)
            else:
                matrix = check_term_weights(self, X, reset=False)
                queries = Queries.unnamed(matrix.shape[0])
            terms = matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32), matrix.data.astype(np.float32)
            bags = index.bags(*terms, among_all)
        return queries, bags.weighted(self._weigh_queries(bags))

    def _term_names(self, numbers):
        """Return the name of each term, given its number among all terms."""
        return names_of(self.index_.vectorizer, numbers)

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
        queries, bags = self._prepare(X)
        ranked = self._rank(queries, bags, k, filter)
        return Run.from_ragged(*ranked, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _rank(self, queries, bags, k, filter):
        """Return the k best documents of each query, given its terms and their weights.

        Parameters
        ----------
        queries : Queries
        bags : Bags
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
        bags = _in_units(self.index_, bags)
        if filter is None:
            filter = self.filter_of(queries)

        def search(start, stop, masks, mask_of):
            return impacts.search(bags.part(start, stop), k, masks, mask_of, self.n_jobs)

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
        bags = _one_query(self, query)
        impacts = self._impacts()
        bags = impacts.order(bags)
        vectorizer = self.index_.vectorizer
        if not isinstance(vectorizer, TermVectorizer):
            raise ValueError("highlight needs the positions of terms in the text, which only a TermVectorizer knows")
        if not isinstance(window, Integral) or window < 1:
            raise ValueError(f"window is a number of terms: expected an int of at least 1, got {window!r}")
        row = int(self.corpus_.rows([docid])[0])
        values, _, _ = impacts.contributions(bags, row)
        text = self._text(row)
        starts, ends, found = vectorizer.spans(text)
        order = np.lexsort((ends, starts))  # n-grams are ordered by length
        starts, ends, found = starts[order], ends[order], found[order]
        start, stop, matched = best_passage(found, bags.numbers, values, window)
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


def explain_terms(retriever, bags, docid):
    """Explain the score of a document for weighted terms.

    Parameters
    ----------
    retriever : InvertedIndexRetriever
        The fitted retriever.
    bags : Bags
        Terms of one query, with numbers among all terms, as from ``retriever._prepare``.
    docid : str
        The document.

    Returns
    -------
    Explanation
    """
    index, impacts = retriever.index_, retriever._impacts()
    bags = impacts.order(bags)
    row = int(retriever.corpus_.rows([docid])[0])
    values, counts, bias = impacts.contributions(_in_units(index, bags), row)
    numbers = bags.numbers.astype(np.int64)
    if index.units is not None:
        counts *= index.units[numbers]
    names, frequencies = retriever._term_names(numbers), index.document_frequencies[numbers]
    columns = names, bags.weights, counts, frequencies, values
    return Explanation.of(docid, *columns, bias, impacts.weighting.counted)


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

    Each part of the corpus has a segment. A vectorizer that learns more than the terms from all documents,
    such as one with `min_df`, is fitted again on all documents.

    Parameters
    ----------
    corpus : Corpus
    key : hashable
        Key of the index in the cache of the corpus.
    build : callable
        Function from a corpus, which may be a part, to its `Segment`.
    vectorizer : transformer or None
        The vectorizer before `fit`.
    columns : tuple of str
        Names of the columns that are indexed.

    Returns
    -------
    Index
    """
    if learns_from_documents(vectorizer) and not learns_terms_only(vectorizer):
        segments, layout = [corpus.cached(key, lambda: build(corpus), persist=True, columns=columns)], None
    else:
        segments, layout = corpus.each_part(key, build, _merge, columns=columns, persist=True), corpus.layout
    index = corpus.cached(("index", key), lambda: Index(segments, layout), columns=columns)
    if index.is_empty:
        raise ValueError("empty vocabulary; perhaps the documents only contain stop words")
    return index


def _merge(segments, sources):
    """Return the segment of documents that come from several parts."""
    documents = [np.full(segment.n_documents, -1) for segment in segments]
    for part, numbers in enumerate(documents):
        places = np.flatnonzero(sources.parts == part)
        numbers[sources.locals[places]] = places
    return type(segments[0]).merged(segments, documents)


def _build_index(retriever, corpus):
    """Return the segment of a corpus or of a part of it: of a matrix of term weights, or of the terms of texts."""
    vectorizer = retriever.vectorizer
    if _holds_weights(corpus, retriever.field):
        return _segment_of_weights(retriever, corpus)
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
        learned = not frozen and learns_terms_only(vectorizer)
        return Segment.from_tokens(token_ids, indptr, len(vectorizer.vocabulary_), vectorizer, learned)
    weigh = vectorizer.transform if frozen else vectorizer.fit_transform
    matrix = check_term_weights(None, weigh(texts.tolist()))
    return Segment.from_matrix(matrix, vectorizer=vectorizer)


def _segment_of_weights(retriever, corpus):
    """Return the segment of a corpus, or a part of one, that is a matrix of term weights."""
    matrix = corpus.matrix(retriever.field)
    if isinstance(matrix, TokenVectors):
        raise TypeError(
            f"{type(retriever).__name__} expected texts or a matrix of term weights as documents, got TokenVectors: "
            "use LateInteractionRetriever"
        )
    if retriever.vectorizer is None:
        matrix = check_term_weights(retriever, matrix, reset=True)
    else:
        matrix = check_term_weights(None, matrix)
    vectorizer, lengths = _vectorizer_of_queries(retriever.vectorizer, matrix.shape[1]), None
    if _LENGTHS in corpus.columns:
        lengths = np.array(corpus[_LENGTHS], dtype=np.float64)
        if not (lengths >= 0).all() or not np.array_equal(lengths, np.trunc(lengths)):
            raise ValueError(f"column {_LENGTHS!r} of the corpus holds lengths of documents: expected whole numbers")
    return Segment.from_matrix(matrix, vectorizer=vectorizer, lengths=lengths)


def _vectorizer_of_queries(vectorizer, n_terms):
    """Return a vectorizer that turns queries into terms of documents whose weights are given."""
    if vectorizer is None:
        return None
    if isinstance(vectorizer, FrozenEstimator):
        vectorizer = vectorizer.estimator
    elif isinstance(vectorizer, TermVectorizer) and vectorizer.vocabulary is not None:
        vectorizer = clone(vectorizer)
    else:
        raise ValueError(
            "the documents are term weights, from which vectorizer= learns no terms: expected one that knows the "
            f"terms, TermVectorizer(vocabulary=…) or FrozenEstimator(…), got {vectorizer!r:.200}"
        )
    found = vectorizer.transform([""]).shape[1]
    if found != n_terms:
        raise ValueError(f"the vectorizer has {found} terms, and the documents have weights of {n_terms} terms")
    return vectorizer


def _one_query(retriever, query):
    """Return the terms of one query, with numbers among all terms."""
    check_fitted(retriever, "index_")
    if isinstance(query, str):
        query = [query]
    _, bags = retriever._prepare(query, among_all=True)
    if bags.n_queries != 1:
        raise ValueError(f"expected one query, got {bags.n_queries}")
    return bags


def _in_units(index, bags):
    """Return the terms of queries with weights for the integers that the index may hold instead of weights."""
    if index.units is None:
        return bags
    with np.errstate(over="ignore"):  # an infinite weight is refused before the search
        return bags.weighted((bags.weights * index.units[bags.numbers]).astype(np.float32))


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
    if isinstance(vectorizer, TermVectorizer):
        return vectorizer._names(terms.astype(np.int64))
    if not hasattr(vectorizer, "get_feature_names_out"):
        return [str(t) for t in terms.tolist()]
    return vectorizer.get_feature_names_out()[terms.astype(np.int64)].tolist()


def _holds_weights(corpus, field):
    """Whether the documents are term weights: the corpus was made from a matrix, and has no text in `field`."""
    names = ("title", "text") if field is None else np.atleast_1d(field).tolist()
    return corpus.is_matrix and not any(corpus.kinds.get(name) == "text" for name in names)
