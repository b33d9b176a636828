"""Late interaction: search by the vectors of tokens."""

import math
from functools import cached_property
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

from sklrank._caching.keys import estimator_key, parameters_key
from sklrank._maxsim import TokenIndex, check_tokens
from sklrank._ragged import kept_entries, lengths_to_indptr, owners, places
from sklrank._validation import HasMethods, Interval, StrOptions, _fit_context, check_fitted
from sklrank.base import Retriever
from sklrank.data import Corpus, Queries, TokenVectors
from sklrank.data._order import rank
from sklrank.encoders._muvera import MuveraEncoder, as_token_vectors
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._dense import DenseRetriever
from sklrank.retrievers._encoding import EncodesCorpus, encode_queries
from sklrank.retrievers._filters import resolve_filter
from sklrank.retrievers._pooling import pool_tokens
from sklrank.retrievers._recall import lowest, mean_recall
from sklrank.retrievers._union import RetrieverUnion

_RESCORE = {"float32": 0, "float16": 0, "int8": 4, "binary": 10}
_CELLS = 1 << 24  # scores that stand in memory at a time


class LateInteractionRetriever(EncodesCorpus, CorpusRetriever):
    r"""Rank documents by how well their tokens match those of the query (ColBERT's MaxSim).

    Documents and queries are matrices, one vector a token. Each token of the query is compared with all tokens of the
    document, and the best similarities are added:

    .. math:: \sum_{q} \max_{d} \langle q, d \rangle

    The tokens are brought to unit length before, so that similarities are cosines; with ``metric="dot"`` they stay as
    they are.

    Without a `retriever` all documents are scored, exactly. With one, only the candidates that it finds are.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents: texts, which `encoder` turns into token vectors, or `TokenVectors`. ``None``: what `fit` gets as
        `X`.
    encoder : transformer, default=None
        Turns texts into `TokenVectors`; cloned and fitted on the documents, a `FrozenEstimator` only used. What it
        makes of the corpus is kept there. ``None``: documents and queries are token vectors.
    query_encoder : transformer, default=None
        The encoder of queries where it is another one.
    metric : {"cosine", "dot"}, default="cosine"
        The similarity of two tokens. The cosine with a vector of zeros is 0.
    retriever : retriever or MuveraEncoder, default=None
        What finds the candidates: a retriever over the same documents, cloned and fitted, which gets the corpus where
        it has none; or an encoder of token vectors as one vector, by whose inner products all documents are searched.
        ``None``: all documents are candidates.
    n_candidates : int, default=1000
        How many candidates the `retriever` is asked for; no ranking is longer. Of a pipeline, or any other object that
        cannot be asked, the first so many are taken.
    pool_factor : int, default=None
        Leave one token of so many in each document, see `pool_tokens`. ``None``: all.
    dtype : {"float32", "float16", "int8", "binary"}, default="float32"
        Form of the documents' tokens that the search reads: in single or half precision, in a byte a feature with a
        scale for each token, or in one bit a feature, which says whether it is above its mean.
    rescore : float, default=None
        How many documents are scored again from the float32 vectors, in multiples of `k`; 0: none, and the float32
        vectors are not kept. ``None``: 4 for ``"int8"``, 10 for ``"binary"``, else 0.
    k : int, default=100
        How many documents to return for each query.
    field : str or sequence of str, default=None
        Columns of the corpus that hold the texts or, without an encoder, the token vectors. ``None``: title and text.
    filter : mask, list of ids, or one of these per query, default=None
        The documents that may be found.
    filter_field : str, default=None
        Column of the queries that holds a filter for each.
    n_jobs : int, default=None
        Threads; the ranking does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    retriever_ : retriever or None
        What finds the candidates, fitted.
    n_tokens_ : int
        Number of token vectors of all documents, after pooling.
    bytes_per_token_ : float
        Bytes that the search reads of each.

    See Also
    --------
    DenseRetriever : One vector a document.
    pool_tokens : Fewer token vectors.
    sklrank.encoders.MuveraEncoder : One vector instead of a matrix.

    Notes
    -----
    A document without tokens is no candidate, and a query without tokens finds nothing. Similarities are added feature
    by feature, whatever is scored at the same time, so that equal documents have equal scores, ties are ordered by row,
    and neither `n_jobs` nor the number of queries changes a bit of a ranking.

    `k`, `n_candidates`, `dtype` and `rescore` may be changed after `fit`.

    Parameters that need a new `fit`: `corpus`, `encoder`, `query_encoder`, `retriever`, `metric`, `pool_factor` and
    `field`. All others take effect at once.

    References
    ----------
    O. Khattab and M. Zaharia, ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over
    BERT, SIGIR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.retrievers import LateInteractionRetriever
    >>> heat, flow, cold = np.eye(3)
    >>> documents = TokenVectors.from_list([np.stack([heat, flow, heat]), np.stack([cold, flow]), heat[None]])
    >>> retriever = LateInteractionRetriever(k=2).fit(documents)
    >>> retriever.predict([np.stack([heat, flow]), cold[None]]).docids
    [['0', '1'], ['1', '0']]
    """

    _stage = "late_interaction"

    _refit_parameters = ("corpus", "encoder", "query_encoder", "retriever", "metric", "pool_factor", "field")

    _parameter_constraints: dict = {
        **CorpusRetriever._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"cosine", "dot"})],
        "retriever": [HasMethods(["fit", "transform"]), None],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "pool_factor": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [StrOptions(set(_RESCORE))],
        "rescore": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        corpus=None,
        *,
        encoder=None,
        query_encoder=None,
        metric="cosine",
        retriever=None,
        n_candidates=1000,
        pool_factor=None,
        dtype="float32",
        rescore=None,
        k=100,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.retriever = retriever
        self.n_candidates = n_candidates
        self.pool_factor = pool_factor
        self.dtype = dtype
        self.rescore = rescore
        self.k = k
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Encode the corpus, where there is an encoder, pool and compress its tokens, and fit the first stage.

        Parameters
        ----------
        X : Queries, list of str, TokenVectors, or list of matrices of shape (n_tokens, n_features)
            The queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Judgments; for a `retriever` that learns from them.

        Returns
        -------
        self
        """
        self._set_corpus(self._check_documents(X), y)
        self._encode_corpus()
        _check_type(self.encoded_.output)
        self.__dict__.pop("_key", None)
        index = self._index(self.dtype)
        self.n_tokens_ = int(index.indptr[-1])
        if self.retriever is None:
            self.retriever_ = None
        elif isinstance(self.retriever, MuveraEncoder):
            self.retriever_ = self._fit_muvera()
        else:
            self.retriever_ = clone(self.retriever)
            if self.retriever_.get_params(deep=False).get("corpus", self) is None:
                self.retriever_.set_params(corpus=self.corpus_)
            self.retriever_.fit(X, y)
        return self

    def _check_documents(self, X):
        return as_token_vectors(X) if self.corpus is None and self.encoder is None and not _is_named(X) else X

    def ranking_key(self):
        """Return the key under which rankings may be kept: the parameters, and the key of the first stage.

        Returns
        -------
        key : hashable or None
            None if the first stage has none.
        """
        if self.retriever is None or isinstance(self.retriever, MuveraEncoder):
            return parameters_key(self)
        return parameters_key(self, getattr(self, "retriever_", self.retriever))

    # --- the index
    @cached_property
    def _key(self):
        """What the tokens depend on beside the corpus."""
        return ("tokens", self._field, estimator_key(self.encoder), self.metric == "cosine", self.pool_factor)

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_key", None)  # which may hold the code of a function
        return state

    def _index(self, dtype):
        """The tokens of the documents in a form, made once however many estimators ask."""
        changed = dtype != "float32" or self.pool_factor is not None
        encoded = ("encoded", self._key[1], self._key[2])
        return self.corpus_.cached((*self._key, dtype), lambda: self._make_index(dtype), of=encoded, persist=changed)

    def _make_index(self, dtype):
        if dtype != "float32":
            whole = self._whole()
            return TokenIndex.of(whole.codes, whole.indptr, dtype)
        tokens = self.encoded_.output
        if self.pool_factor is not None:
            tokens = pool_tokens(tokens, self.pool_factor, n_jobs=self.n_jobs)
        values = check_tokens(
            tokens.values,
            tokens.indptr,
            unit=self.metric == "cosine",
            name=lambda row: f"document {self.corpus_.ids[int(row)]!r}",
        )
        return TokenIndex.of(values, tokens.indptr)

    def _whole(self):
        """The tokens in float32, which are kept where a search needs them."""
        needed = self.dtype == "float32" or self._rescore() > 0
        return self._index("float32") if needed else self._make_index("float32")

    def _rescore(self):
        return _RESCORE[self.dtype] if self.rescore is None else self.rescore

    def _fit_muvera(self):
        """A search by the fixed-dimensional encodings of the documents."""
        key = (*self._key, estimator_key(self.retriever))

        def make():
            whole = self._whole()
            tokens = TokenVectors(whole.codes, whole.indptr)
            encoder = clone(self.retriever).fit(tokens)
            return encoder, encoder.encode(tokens, "document")

        self._encoder, vectors = self.corpus_.cached(key, make, persist=True)
        limit = self.corpus_.cache_limit
        corpus = self.corpus_.cached(
            (*key, "corpus"), lambda: Corpus(vectors, ids=self.corpus_.ids.tolist(), cache_limit=limit), of=key
        )
        return DenseRetriever(corpus, metric="dot", n_jobs=self.n_jobs).fit(None)

    @property
    def bytes_per_token_(self):
        """Bytes that the search reads of each token of a document."""
        self._check_call(self.k)
        return self._index(self.dtype).nbytes / max(self.n_tokens_, 1)

    # --- the search
    def _search(self, X, k, filter=None):
        self._check_call(k)
        queries, tokens = self._query_tokens(X)
        filter = self._chosen_filter(filter, queries)
        rescore = self._rescore()
        first = max(k, math.ceil(rescore * k))
        if self.retriever_ is None:
            indptr, rows, scores = self._scan(self._index(self.dtype), tokens, first, filter)
        else:
            indptr, rows = self._candidates(X, queries, tokens, filter)
            indptr, rows, scores = self._score(self._index(self.dtype), tokens, indptr, rows, first)
        if rescore > 0:
            indptr, rows, scores = self._score(self._index("float32"), tokens, indptr, rows, k)
        return self._run(indptr, rows, scores, queries, k)

    def _check_call(self, k):
        check_fitted(self, "n_tokens_")
        super()._check_call(k)
        if self.dtype not in _RESCORE or type(self.n_candidates) is not int or self.n_candidates < 1:
            self._validate_params()
        if self.rescore is not None and not (isinstance(self.rescore, Real) and self.rescore >= 0):
            self._validate_params()

    def _query_tokens(self, X):
        if self.encoder is None and not isinstance(X, Queries):
            X = as_token_vectors(X)
        queries, tokens = encode_queries(X, self.encoded_)
        _check_type(tokens)
        needed = self.encoded_.output.n_features
        if tokens.n_features != needed:
            raise ValueError(
                f"token vectors of queries have {tokens.n_features} features, those of the documents {needed}: both "
                "come from one encoder, or from two that were trained together"
            )
        unit = self.metric == "cosine"
        values = check_tokens(tokens.values, tokens.indptr, unit=unit, name=lambda i: f"query {queries.ids[i]!r}")
        return queries, TokenVectors(values, tokens.indptr)

    def _scan(self, index, tokens, k, filter):
        """The k best of all documents."""
        found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))] * len(tokens)
        has_tokens, asks = np.diff(index.indptr) > 0, np.diff(tokens.indptr) > 0
        for start, stop, masks, mask_of in resolve_filter(filter, len(tokens), self.corpus_):
            mask_of = mask_of if len(mask_of) else np.full(stop - start, -1)
            for mask in np.unique(mask_of):
                rows = np.flatnonzero(has_tokens if mask < 0 else has_tokens & (masks[mask] > 0))
                asked = start + np.flatnonzero((mask_of == mask) & asks[start:stop])
                step = max(_CELLS // max(len(rows), 1), 1)
                for own in (asked[i : i + step] for i in range(0, len(asked), step)):
                    some = tokens[own]
                    scores = index.score_all(some.values, some.indptr, rows, n_jobs=self.n_jobs)
                    for q, of_query in zip(own.tolist(), np.ascontiguousarray(scores.T)):
                        best = _best(of_query, k)
                        found[q] = rows[best], of_query[best]
        indptr = lengths_to_indptr([len(rows) for rows, _ in found])
        rows, scores = (np.concatenate(parts) for parts in zip(*found)) if found else (np.empty(0), np.empty(0))
        entries, indptr, scores = rank(indptr, scores.astype(np.float32), rows, k)
        return indptr, rows[entries].astype(np.int64), scores

    def _candidates(self, X, queries, tokens, filter):
        """What the first stage finds, but for documents and queries without tokens."""
        if isinstance(self.retriever, MuveraEncoder):
            run = self.retriever_._search(self._encoder.encode(tokens, "query"), self.n_candidates, filter)
        elif filter is not None and not self._takes_filters():
            raise ValueError(
                f"a filter cannot be handed to {type(self.retriever_).__name__}, which is not over this corpus or does "
                "not say so: set it on the retriever inside"
            )
        elif isinstance(self.retriever_, CorpusRetriever):
            run = self.retriever_._search(X, self.n_candidates, filter)
        else:
            run = self.retriever_.transform(X) if filter is None else self.retriever_.transform(X, filter=filter)
        indptr, rows = run.indptr, run.rows
        if run.documents is not self.corpus_ and not isinstance(self.retriever, MuveraEncoder):
            rows = self.corpus_.rows(run.flat_docids)
        query = owners(indptr)
        kept = (np.diff(self._index(self.dtype).indptr)[rows] > 0) & (np.diff(tokens.indptr)[query] > 0)
        if run.has_order:
            kept &= places(indptr) < self.n_candidates
        entries, indptr = kept_entries(indptr, kept)
        return indptr, rows[entries]

    def _takes_filters(self):
        """Whether the first stage has the documents of this corpus, and takes filters."""
        inside = (
            self.retriever_.retrievers_ if isinstance(self.retriever_, RetrieverUnion) else [(None, self.retriever_)]
        )
        return all(isinstance(one, Retriever) and getattr(one, "corpus_", None) is self.corpus_ for _, one in inside)

    def _score(self, index, tokens, indptr, rows, k):
        """The k best of some candidates of each query."""
        scores = index.score_pairs(tokens.values, tokens.indptr, indptr, rows, n_jobs=self.n_jobs)
        entries, indptr, scores = rank(indptr, scores, rows, k)
        return indptr, rows[entries], scores

    def recall_against_exact(self, X, k=None, filter=None):
        """Share of the exact ranking that is found with this `retriever`, `dtype` and `rescore`.

        A document that scores as high as the last one of the exact ranking counts as found.

        The exact ranking is that of the tokens that `pool_factor` leaves: what pooling loses is not measured.

        Parameters
        ----------
        X : Queries, list of str, TokenVectors, or list of matrices of shape (n_tokens, n_features)
            The queries; no judgments are needed.
        k : int, default=None
            The cutoff; ``None``: the parameter `k`.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found.

        Returns
        -------
        float
            Mean over the queries that may find anything; NaN where there are none.
        """
        k = self.k if k is None else k
        found = self._search(X, k, filter)
        _, tokens = self._query_tokens(X)
        index = self._index("float32")
        indptr, _, scores = self._scan(index, tokens, k, self._chosen_filter(filter, found.queries))
        found_indptr, _, found_scores = self._score(index, tokens, found.indptr, found.rows, k)
        return mean_recall(found_indptr, found_scores, *lowest(indptr, scores))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_tokens_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.sparse = False
        return tags


def _is_named(X):
    """Whether `X` brings its own names and columns."""
    return isinstance(X, (Corpus, Queries))


def _check_type(tokens):
    if not isinstance(tokens, TokenVectors):
        raise TypeError(
            f"needed are TokenVectors, one matrix a text, got {type(tokens).__name__}; one dense vector a text is for "
            "DenseRetriever"
        )


def _best(scores, k):
    """Positions of the k best scores, and of all that equal the last of them."""
    if k >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
