"""Late interaction on candidates."""

import os
from numbers import Integral

import numpy as np
from sklearn.frozen import FrozenEstimator

from sklrank._caching.keys import estimator_key
from sklrank._maxsim import TokenIndex, check_tokens, token_lengths
from sklrank._ragged import lengths_to_indptr
from sklrank._session import DeviceTokens
from sklrank._validation import HasMethods, Interval, StrOptions
from sklrank.base import check_run
from sklrank.data import TokenVectors
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.rerankers._candidates import encode_candidates
from sklrank.rerankers._texts import corpus_of, query_texts
from sklrank.retrievers._encoding import Encoded, encode_queries, without_fitting
from sklrank.retrievers._pooling import pool_tokens

_CELLS = 1 << 25  # numbers of token vectors that stand in memory at a time


class MaxSimReranker(ScoringReranker):
    r"""Rank candidates by how well their tokens match those of the query (ColBERT's MaxSim).

    Documents and queries are matrices, one vector a token. Each token of the query is compared with all tokens of the
    document, and the best similarities are added, each by its weight:

    .. math:: \sum_q w_q \max_d \langle q, d \rangle

    Parameters
    ----------
    encoder : transformer, default=None
        Turns texts into `TokenVectors`. Only candidates are encoded, unless the corpus has all its vectors already,
        from a retriever with the same encoder; each once, as long as their vectors are within half of the
        `cache_limit` of the corpus. ``None``: the corpus holds token vectors, in float32, float16 or int8.
    query_encoder : transformer, default=None
        The encoder of queries where it is another one. ``None``: the same, or without an `encoder`, queries are token
        vectors.
    metric : {"cosine", "dot"}, default="cosine"
        The similarity of two tokens. The cosine with a vector of zeros is 0.
    query_weights : str or callable, default=None
        What the tokens of queries count: the column of the queries that holds a list of numbers for each, or a function
        from the text of a query to such a list. ``None``: 1 each.
    pool_factor : int, default=None
        Leave one token of so many in each document, see `pool_tokens`. ``None``: all. Candidates are pooled in each
        call, unless the corpus has the token vectors of all documents.
    depth : int, default=None
        How many candidates of each query to score, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        What becomes of the others: they are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.
    field : str or list of str, default=None
        Columns of the corpus: texts to encode, or without an `encoder` the column that holds the token vectors.
        ``None``: title and text joined by a space where both exist, or the token vectors that the corpus was made from.
    n_jobs : int, default=None
        Threads on the CPU; the ranking does not depend on it.

    See Also
    --------
    maxsim : The same for arrays, of PyTorch and CuPy too.
    sklrank.retrievers.LateInteractionRetriever : Compares the query with all documents.
    sklrank.retrievers.pool_tokens : Fewer token vectors a document.

    Notes
    -----
    A document without tokens has the score -inf. A query without tokens gives all documents the score 0, so that they
    stand in the order of the corpus.

    Scores are those of a `LateInteractionRetriever` with the same encoder, metric and `pool_factor`, bit for bit. Equal
    documents have equal scores.

    Where the encoder of the queries runs on CUDA, candidates are scored there, too, by an ONNX graph, which needs the
    package onnx. Where the corpus has the token vectors of all documents, in float32, float16 or int8, they are copied
    to the device once, and stay as long as the corpus keeps them. The device adds up in an order of its own: scores are
    those of the CPU to about 1e-5, and documents that are equal may be told apart.

    Parameters that need a new `fit`: none. All take effect at once.

    References
    ----------
    O. Khattab and M. Zaharia, ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over
    BERT, SIGIR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Corpus, Queries, Run
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.rerankers import MaxSimReranker
    >>> heat, flow, cold = np.eye(3)
    >>> corpus = Corpus(TokenVectors.from_list([np.stack([cold, flow]), np.stack([heat, flow, heat])]))
    >>> run = Run([{"0": 2.0, "1": 1.0}], corpus=corpus, queries=Queries(TokenVectors.from_list([[heat, flow]])))
    >>> MaxSimReranker().transform(run).docids
    [['1', '0']]
    """

    _stage = "maxsim"

    _parameter_constraints: dict = {
        **ScoringReranker._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"cosine", "dot"})],
        "query_weights": [str, callable, None],
        "pool_factor": [Interval(Integral, 1, None, closed="left"), None],
        "field": "no_validation",
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        encoder=None,
        query_encoder=None,
        *,
        metric="cosine",
        query_weights=None,
        pool_factor=None,
        depth=None,
        tail="drop",
        k=None,
        field=None,
        n_jobs=None,
    ):
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.query_weights = query_weights
        self.pool_factor = pool_factor
        self.depth = depth
        self.tail = tail
        self.k = k
        self.field = field
        self.n_jobs = n_jobs

    def _score(self, candidates):
        queries, tokens, which, encoded = self._vectors(candidates)
        weights = self._weights(candidates, queries)
        device = _cuda_of(encoded.query_encoder)
        lengths = np.diff(tokens.indptr)
        scores = np.full(len(which), -np.inf, dtype=np.float32)
        indptr = candidates.indptr
        whole = self._whole(candidates, tokens, device)
        for start, stop in _blocks(lengths[which] * tokens.n_features, indptr):
            entries = indptr[start] + np.flatnonzero(lengths[which[indptr[start] : indptr[stop]]])
            if not len(entries):
                continue
            index, own = whole, which[entries]
            if whole is None:
                rows, own = np.unique(own, return_inverse=True)
                index = _placed(*self._documents(tokens[rows], _name_of(candidates, rows, which)), device)
            span = slice(queries.indptr[start], queries.indptr[stop])
            scores[entries] = index.score_pairs(
                queries.values[span],
                queries.indptr[start : stop + 1] - span.start,
                np.searchsorted(entries, indptr[start : stop + 1]),
                own.astype(np.int64, copy=False),
                weights[span],
                n_jobs=self.n_jobs,
            )
        return scores

    def _whole(self, candidates, tokens, device):
        """Token vectors of all documents where they are scored, kept; None where that takes a copy on the host."""
        corpus, dtype = candidates.corpus, tokens.values.dtype
        as_stored = device is not None and self.pool_factor is None and dtype in (np.float16, np.int8)
        if len(tokens) != len(corpus) or not (as_stored or dtype == np.float32 or self.pool_factor is not None):
            return None
        field = self.field if self.field is None or isinstance(self.field, str) else tuple(self.field)
        # As retrievers have it, which share what is kept.
        key = ("tokens", field, estimator_key(self.encoder), self.metric == "cosine", self.pool_factor)
        ids = corpus.ids

        def name(i):
            return f"document {ids[int(i)]!r}"

        def prepared():
            return TokenIndex.of(*self._documents(tokens, name))

        def on_host():
            return corpus.cached((*key, "float32"), prepared, persist=self.pool_factor is not None)

        def on_device():
            if not as_stored:
                whole = on_host()
                return DeviceTokens(whole.codes, whole.indptr, device)
            lengths = token_lengths(tokens.values, tokens.indptr, unit=self.metric == "cosine", name=name)
            scales = 1 / np.where(lengths > 0, lengths, 1) if self.metric == "cosine" else None
            return DeviceTokens(tokens.values, tokens.indptr, device, scales)

        if device is None:
            return on_host()
        return corpus.cached((*key, dtype.name, device, os.getpid()), on_device)  # a fork has no device

    def _vectors(self, candidates):
        """Token vectors of the queries, checked; those of documents, and which each entry is; what encoded them."""
        corpus = corpus_of(candidates)
        if self.encoder is None and self.query_encoder is not None:
            key = ("query encoder alone", estimator_key(self.query_encoder))
            problem = (
                f"{type(self.query_encoder).__name__} has to be fitted, and without encoder= there are no texts of "
                "documents to fit it on: give it fitted, in a FrozenEstimator"
            )
            encoder = corpus.cached(key, lambda: without_fitting(self.query_encoder, problem))
            encoded, which = Encoded(None, encoder, corpus.matrix(self.field)), candidates.rows
            queries = encoder.transform(query_texts(candidates))
        else:
            encoded, which = encode_candidates(candidates, self.encoder, self.field, self.query_encoder)
            given = candidates.queries.is_matrix or encoded.field in candidates.queries.columns
            if encoded.encoder is None and not given:
                raise ValueError(
                    "the documents are token vectors, and the queries are not: query_encoder= makes such of their texts"
                )
            _, queries = encode_queries(candidates.queries, encoded)
        for tokens in (encoded.output, queries):
            if not isinstance(tokens, TokenVectors):
                raise TypeError(
                    f"needed are TokenVectors, one matrix a text, got {type(tokens).__name__}; one dense vector a text "
                    "is for DenseReranker"
                )
        if queries.n_features != encoded.output.n_features:
            raise ValueError(
                f"token vectors of queries have {queries.n_features} features, those of the documents "
                f"{encoded.output.n_features}: both come from one encoder, or from two that were trained together"
            )
        values, indptr = self._checked(queries, lambda i: f"query {candidates.qids[i]!r}")
        return TokenVectors(values, indptr), encoded.output, which, encoded

    def _documents(self, tokens, name):
        pooled = tokens if self.pool_factor is None else pool_tokens(tokens, self.pool_factor, n_jobs=self.n_jobs)
        return self._checked(pooled, name)

    def _checked(self, tokens, name):
        values = check_tokens(tokens.values, tokens.indptr, unit=self.metric == "cosine", name=name)
        return values, tokens.indptr

    def _weights(self, candidates, queries):
        """What each query token counts."""
        given = self.query_weights
        if given is None:
            return np.ones(len(queries.values), dtype=np.float32)
        if callable(given):
            given = [given(text) for text in query_texts(candidates)]
        else:
            given = candidates.queries[given]
        weights = [np.asarray(one, dtype=np.float32) for one in given]
        for qid, one, length in zip(candidates.qids, weights, np.diff(queries.indptr).tolist()):
            if one.shape != (length,) or not np.isfinite(one).all():
                raise ValueError(
                    f"query {qid!r} has {length} tokens, and weights of shape {one.shape}"
                    f"{'' if np.isfinite(one).all() else ', not all of them finite'}: needed is a number for each"
                )
        return np.concatenate([*weights, np.empty(0, dtype=np.float32)])

    def compare_tokens(self, X, docid, query=0):
        """Compare each token of a query with each token of a document.

        Parameters
        ----------
        X : Run
            Candidates of the query, with their corpus.
        docid : str or int
            The document. It does not have to be a candidate.
        query : int or str, default=0
            Position of the query in `X`, or its id.

        Returns
        -------
        dict
            ``query_tokens`` and ``document_tokens``, lists of str: the tokens, or their positions if the encoder does
            not name them; ``weights``, shape (n_query_tokens,); ``similarities``, shape (n_query_tokens,
            n_document_tokens).

        See Also
        --------
        sklrank.inspection.alignment : Prints which tokens matched.
        """
        self._validate_params()
        check_run(X, "reranker")
        if isinstance(query, str):
            query = _position(X, query)
        one = X[query]
        corpus = corpus_of(one)
        pair = type(X).from_ragged(
            np.array([0, 1]), corpus.rows([docid]), np.zeros(1), queries=one.queries, corpus=corpus
        )
        queries, tokens, which, encoded = self._vectors(pair)
        document, _ = self._documents(tokens[which], lambda i: f"document {docid!r}")
        if not len(document):
            raise ValueError(f"document {docid!r} has no tokens")
        similar = queries.values.astype(np.float64) @ document.astype(np.float64).T
        names = [_names(encoded.query_encoder, pair.queries.texts if "text" in pair.queries.columns else None)]
        texts = None if encoded.encoder is None else corpus.text(self.field)[corpus.rows([docid])].tolist()
        names.append(_names(encoded.encoder, texts))
        return {
            "query_tokens": _labels(names[0], len(similar)),
            "document_tokens": _labels(names[1], len(document)),
            "weights": self._weights(pair, queries).astype(np.float64),
            "similarities": similar,
        }


def _position(run, qid):
    found = np.flatnonzero(run.qids == qid)
    if not len(found):
        raise ValueError(f"the run has no query {qid!r}; a position is an int")
    return int(found[0])


def _names(encoder, texts):
    """Tokens of a text, where the encoder says them; else None."""
    encoder = getattr(encoder, "estimator", encoder) if isinstance(encoder, FrozenEstimator) else encoder
    return encoder.tokens(texts)[0] if texts is not None and hasattr(encoder, "tokens") else None


def _labels(names, n):
    return names if names is not None and len(names) == n else list(map(str, range(n)))


def _name_of(run, rows, which):
    """Function that names the i-th of some documents in an error."""

    def name(i):
        entry = np.flatnonzero(which == rows[i])[0]
        return f"document {run.flat_docids[entry]!r}"

    return name


def _cuda_of(encoder):
    """The CUDA device on which an encoder runs; None where it runs elsewhere, or does not say."""
    device = getattr(encoder, "device_", "cpu")
    return device if device.startswith("cuda") else None


def _placed(values, indptr, device):
    """Checked token vectors where they are scored."""
    return TokenIndex.of(values, indptr) if device is None else DeviceTokens(values, indptr, device)


def _blocks(sizes, indptr):
    """Ranges of queries whose candidates have some number of numbers together; at least one query each."""
    totals = lengths_to_indptr(sizes)[indptr]
    start = 0
    while start < len(totals) - 1:
        stop = max(int(np.searchsorted(totals, totals[start] + _CELLS, side="right")) - 1, start + 1)
        yield start, stop
        start = stop
