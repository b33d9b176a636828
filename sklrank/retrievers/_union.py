"""RetrieverUnion: the candidates of several retrievers."""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import Bunch

from sklrank._fitted import FittedMixin
from sklrank._ragged import intervals, lengths_to_indptr
from sklrank._validation import BaseComposition, _fit_context, check_fitted
from sklrank.base import ranking_key
from sklrank.data import Queries, Run

_CACHED_BYTES = 1 << 29  # of rankings, on each corpus


class RetrieverUnion(FittedMixin, BaseComposition):
    """Ask several retrievers, and unite what they find.

    The candidates have one column of scores for each retriever, and no order: a fuser or a reranker gives them one.
    So the union has no `predict` and no `score`.

    Parameters
    ----------
    retrievers : list of (str, retriever)
        The retrievers by name; ``"drop"`` in the place of one leaves it out. Names are those of the columns.
    cache : bool, default=True
        Whether rankings are kept on the corpus, so that a search over the parameters of later steps retrieves each
        query once. Bounded; keyed by the retriever's parameters and the query.
    n_jobs : int, default=None
        Threads, each of which asks a retriever; the result does not depend on it.

    Attributes
    ----------
    retrievers_ : list of (str, retriever)
        The retrievers, fitted, without those that were dropped.
    named_retrievers_ : Bunch
        The same by name.

    See Also
    --------
    Run.union : The same for runs from elsewhere.

    Notes
    -----
    ``Pipeline(memory=…)`` keeps what `fit_transform` returns only, so that a grid search would retrieve the test folds
    anew for each candidate; hence `cache`. Rankings of a call with a `filter` are not kept, nor are those of a step
    that is no retriever of this library, such as a pipeline, which may learn from the judgments.

    Parameters that are set by name reach the retrievers of the next `fit`, as in every composition of scikit-learn;
    the fitted ones are in `named_retrievers_`, where `k` and other parameters of the search may be set.

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
            The queries.
        y : Qrels or list of dict, default=None
            Judgments, for steps that learn from them.

        Returns
        -------
        self
        """
        self._check_retrievers()
        self.retrievers_ = [(name, clone(one).fit(X, y)) for name, one in self.retrievers if _is_kept(one)]
        self.named_retrievers_ = Bunch(**dict(self.retrievers_))
        return self

    def fit_transform(self, X, y=None):
        """Fit each retriever, then unite what they find.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        y : Qrels or list of dict, default=None
            Judgments.

        Returns
        -------
        Run
        """
        return self.fit(X, y).transform(X)

    def transform(self, X, filter=None):
        """Unite what the retrievers find.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found, handed to each retriever.

        Returns
        -------
        Run
            The candidates by row, with a column of scores and ranks for each retriever, NaN where it lacks one.
        """
        check_fitted(self, "retrievers_")
        queries = Queries.of(X)

        def ask(named):
            name, retriever = named
            if filter is not None:
                return retriever.transform(queries, filter=filter)
            corpus = getattr(retriever, "corpus_", None)
            if not self.cache or corpus is None or not getattr(retriever, "_may_be_kept", False):
                return retriever.transform(queries)
            return corpus.cached(("rankings",), Rankings).of(retriever, queries)

        n_threads = min(effective_n_jobs(self.n_jobs), len(self.retrievers_)) if self.n_jobs not in (None, 1) else 1
        if n_threads == 1:
            runs = map(ask, self.retrievers_)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                runs = list(pool.map(ask, self.retrievers_))
        return Run.union(dict(zip([name for name, _ in self.retrievers_], runs)))

    def _check_retrievers(self):
        try:
            names, retrievers = zip(*self.retrievers)
        except (TypeError, ValueError):
            raise ValueError(f"retrievers is a list of (name, retriever), got {self.retrievers!r}") from None
        self._validate_names(names)
        if not any(map(_is_kept, retrievers)):
            raise ValueError(f"no retriever is left of {list(names)}: all are 'drop'")
        for name, retriever in self.retrievers:
            if _is_kept(retriever) and not (hasattr(retriever, "fit") and hasattr(retriever, "transform")):
                raise TypeError(f"{name!r} is {retriever!r}, needed is a retriever (fit and transform), or 'drop'")

    def get_params(self, deep=True):
        """Parameters of the union and, by ``name__parameter``, of its retrievers.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include those of the retrievers.

        Returns
        -------
        dict
        """
        return self._get_params("retrievers", deep=deep)

    def set_params(self, **params):
        """Set parameters of the union, of its retrievers by ``name__parameter``, or a retriever by ``name``.

        Parameters
        ----------
        **params : dict
            The parameters; ``name="drop"`` leaves a retriever out.

        Returns
        -------
        self
        """
        self._set_params("retrievers", **params)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "retrievers_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags


def _is_kept(retriever):
    return not (isinstance(retriever, str) and retriever == "drop")


class Rankings:
    """What retrievers found on one corpus, by their parameters and the query; those asked for last are kept."""

    def __init__(self):
        self._found = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def of(self, retriever, queries):
        """The run of `retriever`, which is asked for the queries that it was not asked for yet.

        Parameters
        ----------
        retriever : Retriever
            Fitted.
        queries : Queries

        Returns
        -------
        Run
        """
        settings = _settings(retriever)
        keys = [(settings, key) for key in _query_keys(queries)]
        with self._lock:
            found = [self._found.get(key) for key in keys]
        missing = [i for i, one in enumerate(found) if one is None]
        if missing:
            # A query that stands twice is asked once.
            first = list({keys[i]: i for i in reversed(missing)}.values())[::-1]
            run = retriever.transform(queries if len(first) == len(queries) else queries[np.array(first)])
            if len(first) == len(queries):
                self._keep(keys, run)
                return run
            new = dict(zip([keys[i] for i in first], self._keep([keys[i] for i in first], run)))
            found = [new[key] if one is None else one for key, one in zip(keys, found)]
        rows, scores, ks = zip(*found) if found else ((), (), ())
        indptr = lengths_to_indptr(list(map(len, rows)))
        rows = np.concatenate([np.empty(0, dtype=np.int64), *rows])
        scores = np.concatenate([np.empty(0, dtype=np.float32), *scores])
        k = max(ks) if ks and None not in ks else None
        return Run.from_ragged(
            indptr, rows, scores, queries=queries, corpus=retriever.corpus_, name=retriever._stage, k=k
        )

    def _keep(self, keys, run):
        """Keep the rankings of a run, and return them."""
        rows, scores = run.rows, run.scores
        found = [(rows[i:j].copy(), scores[i:j].copy(), run.k) for i, j in intervals(run.indptr)]
        with self._lock:
            for key, one in zip(keys, found):
                if key not in self._found:
                    self._n_bytes += one[0].nbytes + one[1].nbytes
                self._found[key] = one
            while self._n_bytes > _CACHED_BYTES and len(self._found) > 1:
                _, (old_rows, old_scores, _) = self._found.popitem(last=False)
                self._n_bytes -= old_rows.nbytes + old_scores.nbytes
        return found

    def __reduce__(self):
        return Rankings, ()  # workers start with none


def _settings(retriever):
    """`ranking_key` of a retriever; worked out anew where a parameter was set since the last time."""
    own = {name: value for name, value in vars(retriever).items() if not name.endswith("_") and name[0] != "_"}
    known = vars(retriever).get("_ranking_key")
    if known is not None and known[0].keys() == own.keys() and all(known[0][name] is own[name] for name in own):
        return known[1]
    key = ranking_key(retriever)
    retriever._ranking_key = own, key
    return key


def _query_keys(queries):
    """For each query what a ranking can depend on, hashable."""
    if queries.columns == ("text",):
        return queries.texts
    return list(zip(*(_value_keys(queries[name]) for name in queries.columns)))


def _value_keys(column):
    if sparse.issparse(column):
        return [(column.indices[i:j].tobytes(), column.data[i:j].tobytes()) for i, j in intervals(column.indptr)]
    values = list(column)
    return [value.tobytes() if isinstance(value, np.ndarray) else _hashable(value) for value in values]


def _hashable(value):
    try:
        hash(value)
        return value
    except TypeError:
        return repr(value)
