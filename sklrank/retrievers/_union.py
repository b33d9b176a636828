"""RetrieverUnion: unite the candidates of several retrievers."""

from concurrent.futures import ThreadPoolExecutor
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch

from sklrank._caching.keys import Identity, query_keys
from sklrank._caching.ranking_keys import gives_key, has_key, part_key, snapshot
from sklrank._fitted import FittedMixin, check_unchanged
from sklrank._ragged import intervals, lengths_to_indptr
from sklrank._threads import n_local_threads
from sklrank._update import UpdateMixin
from sklrank._validation import BaseComposition, _fit_context, check_fitted
from sklrank.data import Queries, Run
from sklrank.data._columns import check_score_columns

_TUPLE_BYTES = 88 + 2 * 128  # bytes of a kept ranking besides the memory of its two arrays


class RetrieverUnion(UpdateMixin, FittedMixin, BaseComposition):
    """Unite the candidates of several retrievers.

    The candidates have one score column for each retriever, and no order. A fuser or a reranker gives them an order.
    Therefore the union has no `predict` and no `score`.

    Parameters
    ----------
    retrievers : list of (str, retriever)
        The retrievers, each with the name of its column. ``"drop"`` instead of a retriever leaves it out.
    cache : bool, default=True
        Whether to keep rankings on the corpus, so that a search over the parameters of later steps retrieves each query
        once. Rankings are kept by the parameters of the retriever and the query, in bounded memory.
    n_jobs : int, default=None
        Number of threads. Each thread asks a retriever. The result does not depend on it.

    Attributes
    ----------
    retrievers_ : list of (str, retriever)
        The fitted retrievers, except dropped ones.
    named_retrievers_ : Bunch
        The fitted retrievers by name.

    See Also
    --------
    Run.union : Unite runs that were made elsewhere.

    Notes
    -----
    ``Pipeline(memory=…)`` keeps only the output of `fit_transform`, so that a grid search would retrieve the test folds
    again for each candidate. This is the reason for `cache`. A ranking is reused only if the retriever allows it with
    its `sklrank.base.Retriever.ranking_key`. Rankings of a call with a `filter` are not kept.

    Parameters that are set by name take effect at the next `fit`, as in every composition of scikit-learn. To set `k`
    and other parameters of the search of a fitted retriever, use `named_retrievers_`.

    Parameters that need a new `fit`: `retrievers`. All others take effect at once.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> from sklrank.retrievers import BM25Retriever, RetrieverUnion, TfidfRetriever
    >>> corpus = Corpus(["heat flows", "cold rests", "heat rests"])
    >>> union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus, k=1))])
    >>> run = union.fit_transform(["heat"])
    >>> run.docids, run.columns, run.column_ranks("tfidf")
    ([['0', '2']], ('bm25', 'tfidf'), array([nan,  1.]))
    """

    __metadata_request__transform = {"filter": True}

    _refit_parameters = ("retrievers",)

    _parameter_constraints: dict = {"retrievers": [list], "cache": ["boolean"], "n_jobs": [Integral, None]}

    def __init__(self, retrievers, *, cache=True, n_jobs=None):
        self.retrievers = retrievers
        self.cache = cache
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit each retriever.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        y : Qrels or list of dict, default=None
            Relevance judgments, for retrievers that learn from them.

        Returns
        -------
        self
        """
        self._check_retrievers()
        self.retrievers_ = [
            (name, clone(retriever).fit(X, y)) for name, retriever in self.retrievers if _is_kept(retriever)
        ]
        self.named_retrievers_ = Bunch(**dict(self.retrievers_))
        return self

    def fit_transform(self, X, y=None):
        """Fit each retriever, then unite their candidates.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        y : Qrels or list of dict, default=None
            Relevance judgments.

        Returns
        -------
        Run
        """
        return self.fit(X, y).transform(X)

    def transform(self, X, filter=None):
        """Unite the candidates of the retrievers.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned. It is passed to each retriever.

        Returns
        -------
        Run
            The candidates in the order of rows, with a column of scores and ranks for each retriever. Values are NaN if
            the retriever did not find the candidate.
        """
        check_fitted(self, "retrievers_")
        queries = Queries.of(X)

        def ask(named):
            name, retriever = named
            if filter is not None:
                return retriever.transform(queries, filter=filter)
            if not self.cache or not has_key(retriever) or getattr(retriever, "corpus_", None) is None:
                return retriever.transform(queries)
            check_unchanged(retriever)
            frozen, key = snapshot(retriever)
            if key is None:
                return retriever.transform(queries)
            return _kept_rankings(frozen, key, queries)

        n_threads = 1
        if self.n_jobs not in (None, 1):
            n_threads = min(n_local_threads(self.n_jobs), len(self.retrievers_))
        if n_threads == 1:
            runs = map(ask, self.retrievers_)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                runs = list(pool.map(ask, self.retrievers_))
        return Run.union(dict(zip([name for name, _ in self.retrievers_], runs)))

    def ranking_key(self):
        """Return the key under which the candidates may be kept; None if a retriever has no key.

        Returns
        -------
        key : hashable or None
        """
        if not gives_key(self):
            return None
        retrievers = getattr(self, "retrievers_", None) or [pair for pair in self.retrievers if _is_kept(pair[1])]
        keys = tuple((name, part_key(retriever, None)) for name, retriever in retrievers)
        if any(key is None for _, key in keys):
            return None
        return (Identity(type(self)), *keys)

    def _check_retrievers(self):
        try:
            names, retrievers = zip(*self.retrievers)
        except (TypeError, ValueError):
            raise ValueError(f"expected a list of (name, retriever) as retrievers, got {self.retrievers!r}") from None
        self._validate_names(names)
        if not any(map(_is_kept, retrievers)):
            raise ValueError(f"expected at least one retriever, but all of {list(names)} are 'drop'")
        check_score_columns(name for name, retriever in self.retrievers if _is_kept(retriever))
        for name, retriever in self.retrievers:
            if _is_kept(retriever) and not (hasattr(retriever, "fit") and hasattr(retriever, "transform")):
                raise TypeError(f"expected a retriever (fit and transform) or 'drop' as {name!r}, got {retriever!r}")

    def get_params(self, deep=True):
        """Return the parameters of the union and, by ``name__parameter``, of its retrievers.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of the retrievers.

        Returns
        -------
        dict
        """
        return self._get_params("retrievers", deep=deep)

    def set_params(self, **params):
        """Set parameters of the union, parameters of its retrievers by ``name__parameter``, or a retriever by ``name``.

        Parameters
        ----------
        **params : dict
            Parameters. ``name="drop"`` leaves a retriever out.

        Returns
        -------
        self
        """
        self._set_params("retrievers", **params)
        return self

    def __getattr__(self, name):
        if name in ("predict", "score", "search"):
            raise AttributeError(
                f"a RetrieverUnion has no {name!r}, because its candidates have no order: put a fuser behind it, as in "
                "make_pipeline(union, ReciprocalRankFuser()); its transform returns the candidates"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __sklearn_is_fitted__(self):
        return hasattr(self, "retrievers_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags


def _is_kept(retriever):
    return not (isinstance(retriever, str) and retriever == "drop")


def _kept_rankings(retriever, key, queries):
    """Return the run of a retriever, which is asked only for queries without a kept ranking.

    Parameters
    ----------
    retriever : Retriever
        A fitted retriever, whose parameters no other thread changes.
    key : hashable
        Its ranking key.
    queries : Queries

    Returns
    -------
    Run
    """
    asked = []

    def make(positions):
        new = queries
        if len(positions) < len(queries):
            new = queries[np.array(positions)]
        run = retriever.transform(new)
        asked.append(run)
        rows, scores = run.rows, run.scores
        return [(rows[i:j].copy(), scores[i:j].copy(), run.name, run.k) for i, j in intervals(run.indptr)]

    corpus = retriever.corpus_
    found = corpus.cached_each(("rankings", key), query_keys(queries), make, size_of=_ranking_bytes)
    if asked and len(asked[0]) == len(queries):
        return asked[0]
    rows, scores, names, ks = (), (), (None,), (None,)
    if found:
        rows, scores, names, ks = zip(*found)
    k = None
    if None not in ks:
        k = max(ks)
    return Run.from_ragged(
        lengths_to_indptr(list(map(len, rows))),
        np.concatenate([np.empty(0, dtype=np.int64), *rows]),
        np.concatenate([np.empty(0, dtype=np.float32), *scores]),
        queries=queries,
        corpus=corpus,
        name=names[0],
        k=k,
    )


def _ranking_bytes(ranking):
    """Return the bytes of a tuple of two arrays, a name and a number."""
    rows, scores, _, _ = ranking
    return _TUPLE_BYTES + rows.nbytes + scores.nbytes
