"""CallableRetriever: search by a function, such as one that calls a search engine."""

import uuid
from collections.abc import Mapping
from copy import copy
from numbers import Integral, Real

import joblib
import numpy as np

from sklrank._caching import Once, Recent
from sklrank._retry import call_with_retries, call_with_timeout, pause_after
from sklrank._threads import is_worker, over_ranges
from sklrank._validation import Interval, _fit_context, check_fitted
from sklrank.data import Queries
from sklrank.data._ids import as_id_list, check_unique, show
from sklrank.data._shapes import as_numbers
from sklrank.data._strings import StringArray
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._elsewhere import run_of
from sklrank.retrievers._filters import resolve_filter

_N_FUNCTIONS = 16  # number of functions whose answers a process keeps
_FORMS = (
    "expected for each query a list of (id, score) pairs, a dict of id to score, or a tuple of ids and scores; or for "
    "all queries a tuple of two arrays of shape (n_queries, k), ids and scores"
)


class SharesFunction:
    """Mixin of estimators with a function `f`: clones, and the tasks of a worker, share it and its answers."""

    def __sklearn_clone__(self):
        bare = copy(self)
        bare.f = None
        return super(SharesFunction, bare).__sklearn_clone__().set_params(f=self.f)

    def __getstate__(self):
        return {**super().__getstate__(), "_token": answers_of(self.f).token}

    def __setstate__(self, state):
        state = dict(state)
        token = state.pop("_token")
        super().__setstate__(state)
        if is_worker():  # in a worker, each task brings a new copy of the function
            self.f = answers_of(self.f, token).f


class CallableRetriever(SharesFunction, CorpusRetriever):
    """Search by a function, such as one that calls a search engine, a database or a web service.

    ``f(queries, k)`` gets a list of queries, and returns the best `k` documents for each. For each query, it returns a
    list of ``(id, score)`` pairs, a dict of id to score, or a tuple of two lists or arrays, ids and scores. For all
    queries together, it may return a tuple of two arrays of shape ``(n_queries, k)``, in which negative ids are
    padding. The output is checked, ordered by score and cut at `k`.

    Parameters
    ----------
    f : callable
        The function. Clones share it. For worker processes, it has to be picklable.
    corpus : Corpus or input of Corpus, default=None
        The documents. If `f` returns an id that is not in the corpus, this is an error. If None, only `f` knows the
        documents; see Notes.
    k : int, default=100
        Number of documents to return for each query.
    query_field : str or list of str, default=None
        Columns of the queries that `f` gets. With a list, `f` gets a dict for each query. If None, it gets the texts
        or, from queries that are a matrix, rows of vectors.
    higher_is_better : bool, default=True
        Whether a higher score is better. If False, as for distances, the negatives become the scores.
    batch_size : int, default=32
        Maximum number of items per call. The items are queries.
    timeout : float, default=None
        Seconds after which a call counts as failed. If None, there is no limit.
    retries : int, default=2
        Number of times that a failed call is repeated.
    backoff : float, default=0.5
        Seconds to wait before the first retry. The wait doubles before each further retry.
    retry_on : type or tuple of type, default=OSError
        Exceptions after which a call is repeated. The exceptions of requests and of the network modules of the standard
        library are subclasses of OSError; add those of your client. If an exception has an HTTP status, the call is
        repeated only for a temporary status.
    cache : int, default=10000
        Maximum number of results to keep. A result is the answer of `f` to a query and a `k`. If 0, none is kept.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned. It needs a corpus.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. Each thread calls `f` with its own batches. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus or None
        The documents.

    See Also
    --------
    QdrantRetriever : Search in Qdrant, without a function.
    RetrieverUnion : Unite the candidates of several retrievers.

    Notes
    -----
    **Without a corpus**, `fit` does not take `X` as the documents, in contrast to other retrievers, because there is
    nothing to index. The runs hold only ids, which is enough for metrics, fusers and files. Filters, snippets and
    `fields=` need the corpus.

    **Ties** are in the order of the corpus; without a corpus, in the order in which `f` returned them.

    **Answers are kept** for each function in the process, so that a grid search over any parameters asks each query
    once. Clones, and the tasks of a worker, share the answers. If the content of the engine changes all the time, set
    ``cache=0``; if it has changed, call ``clear_cache()``. A `RetrieverUnion` keeps no ranking of a function.

    **Filters** apply to the documents that `f` returns. If too few of them pass, `f` is asked for twice as many, until
    `k` documents pass or `f` returns no more. If the engine can apply a filter itself, this is cheaper: do it in `f`,
    and use `query_field` for values that differ between queries.

    **Updates** of the documents need a function that makes another one: ``f.reindexed(corpus)`` returns the function
    that searches the new documents. Without this method, `update` is an error.

    After a timeout, the call continues in its thread, because a thread cannot be stopped. Set a limit in the client of
    your engine as well.

    Parameters that need a new `fit`: `corpus`. All others take effect at once.

    Examples
    --------
    >>> from sklrank.retrievers import CallableRetriever
    >>> def engine(queries, k):
    ...     return [[("d7", 2.5), ("d2", 1.5)] if "heat" in query else [] for query in queries]
    >>> CallableRetriever(engine).fit([]).predict(["heat flows", "cold"]).to_dict()
    {'0': {'d7': 2.5, 'd2': 1.5}, '1': {}}
    """

    _stage = "callable"

    _refit_parameters = ("corpus",)

    _parameter_constraints: dict = {
        **{name: value for name, value in CorpusRetriever._parameter_constraints.items() if name != "field"},
        "f": [callable],
        "query_field": "no_validation",
        "higher_is_better": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Real, 0, None, closed="neither"), None],
        "retries": [Interval(Integral, 0, None, closed="left")],
        "backoff": [Interval(Real, 0, None, closed="left")],
        "retry_on": [type, tuple],
        "cache": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        f,
        corpus=None,
        *,
        k=100,
        query_field=None,
        higher_is_better=True,
        batch_size=32,
        timeout=None,
        retries=2,
        backoff=0.5,
        retry_on=OSError,
        cache=10000,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.f = f
        self.corpus = corpus
        self.k = k
        self.query_field = query_field
        self.higher_is_better = higher_is_better
        self.batch_size = batch_size
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff
        self.retry_on = retry_on
        self.cache = cache
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Set the corpus if there is one; nothing is indexed, and the queries are not used.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries. They are not used.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        if self.corpus is None:
            self.corpus_ = None
        else:
            self._set_corpus(X, y)
        return self

    def reindex(self, corpus):
        """Search other documents, by the function that `f` makes for them; without one, raise an error.

        Parameters
        ----------
        corpus : Corpus
            The new documents.

        Returns
        -------
        self
            With the function ``f.reindexed(corpus)``.
        """
        if not hasattr(self.f, "reindexed"):
            raise ValueError(
                "update changes the corpus, but not the documents that f searches: change them where they are, and fit "
                "again with corpus=corpus.updated(...); or give f a method reindexed(corpus), which returns the "
                "function that searches the new documents"
            )
        self.f = self.f.reindexed(corpus)
        return super().reindex(corpus)

    def clear_cache(self):
        """Drop the kept answers of `f`, for example after the content of the engine has changed.

        Returns
        -------
        self
        """
        answers_of(self.f).clear()
        return self

    # --- search
    def _search(self, X, k, filter=None):
        check_fitted(self, "corpus_")
        queries = Queries.of(X)
        asked = self._asked(queries)
        if filter is None:
            filter = self.filter_of(queries)
        if filter is None:
            found = self._ask(asked, np.arange(len(queries)), k)
        elif self.corpus_ is None:
            raise ValueError("a filter names documents of the corpus: give corpus=, or filter in f")
        else:
            found = []
            for start, stop, masks, mask_of in resolve_filter(filter, len(queries), self.corpus_):
                of_queries = [_mask(masks, m) for m in mask_of.tolist()]
                found += self._ask_until(asked, np.arange(start, stop), k, of_queries)
        if not self.higher_is_better:
            found = [(ids, -scores) for ids, scores in found]
        return run_of(found, queries, self.corpus_, self._rows, k, self._stage)

    def _asked(self, queries):
        """Return the input of `f` for all queries: a list, or an array of vectors."""
        field = self.query_field
        if field is None:
            if "text" not in queries.columns and not queries.is_matrix:
                raise ValueError(
                    f"the queries have no texts, only the columns {list(queries.columns)}: give query_field="
                )
            if queries.is_matrix:
                return queries.matrix
            return queries.texts
        if isinstance(field, str):
            return _listed(queries[field])
        columns = [_listed(queries[name]) for name in field]
        return [dict(zip(field, values)) for values in zip(*columns)]

    def _ask(self, asked, positions, k):
        """Return ids and scores for the queries at `positions`; a query is asked once, or not if its answer is kept."""
        if isinstance(asked, list) and all(isinstance(query, str) for query in asked):
            keys = [(asked[i], k) for i in positions.tolist()]
        else:
            keys = [(joblib.hash(_take(asked, [i])), k) for i in positions.tolist()]
        answers = Answers(self.f)
        if self.cache:
            answers = answers_of(self.f)

        def make(chosen):
            rankings, problem = [None] * len(chosen), None

            def work(start, stop):
                for first in range(start * self.batch_size, stop * self.batch_size, self.batch_size):
                    batch = chosen[first : first + self.batch_size]
                    rankings[first : first + len(batch)] = self._call(_take(asked, positions[batch]), len(batch), k)

            try:
                over_ranges(work, -(-len(chosen) // self.batch_size), self.n_jobs, per_thread=1)
            except BaseException as error:
                problem = error
            yield from rankings
            if problem is not None:
                raise problem

        return answers.get(keys, make, limit=self.cache)

    def _call(self, batch, n, k):
        def call():
            return call_with_timeout(lambda: self.f(batch, k), self.timeout)

        pause_of = pause_after(self.retry_on)
        return _rankings(call_with_retries(call, retries=self.retries, backoff=self.backoff, pause_of=pause_of), n)

    def _ask_until(self, asked, positions, k, masks):
        """Ask for more and more documents until `k` of them pass the masks, or until `f` returns no more."""
        found, left, depth = [None] * len(positions), np.arange(len(positions)), k
        while len(left):
            unmet = []
            for i, (ids, scores) in zip(left.tolist(), self._ask(asked, positions[left], depth)):
                kept, wanted = np.ones(len(ids), dtype=bool), k
                if masks[i] is not None:
                    kept, wanted = masks[i][self._rows(ids)], min(k, masks[i].sum())
                found[i] = ids[kept], scores[kept]
                if kept.sum() < wanted and len(ids) >= depth and depth < len(self.corpus_):
                    unmet.append(i)
            left, depth = np.array(unmet, dtype=np.int64), min(2 * depth, len(self.corpus_))
        return found

    def _rows(self, ids):
        try:
            return self.corpus_.rows(ids)
        except ValueError as error:
            raise ValueError(f"f returned documents that the corpus does not have: {error}") from None


def _mask(masks, m):
    """Return the mask of a query, None without a filter."""
    if m < 0:
        return None
    return masks[m].view(bool)


class Answers(Once):
    """Answers of a function, by query and k; each query is asked once, even by several threads.

    Parameters
    ----------
    f : callable
    token : str, default=None
        Identifier of the function in all processes. If None, a new one is made.
    """

    def __init__(self, f, token=None):
        super().__init__()
        self.f = f
        self.token = token or uuid.uuid4().hex


_KNOWN = Recent(_N_FUNCTIONS)  # answers of the functions that were called last


def answers_of(f, token=None):
    """Return the answers of `f`, or of the function with this `token` that is already in this process."""

    def matches(known):
        # Each access to a method makes a new object; equal methods belong to the same object.
        is_method = hasattr(f, "__self__") and type(known.f) is type(f)
        return known.token == token or known.f is f or (is_method and known.f == f)

    return _KNOWN.find(matches, lambda: Answers(f, token))


def _listed(column):
    if isinstance(column, StringArray) or getattr(column, "ndim", 2) == 1:
        return column.tolist()
    return column


def _take(asked, positions):
    if isinstance(asked, list):
        return [asked[i] for i in positions]
    return asked[np.asarray(positions)]


def _rankings(answer, n):
    """Return ids and scores of each query, from the output of a function for `n` queries."""
    if isinstance(answer, tuple) and len(answer) == 2 and all(getattr(part, "ndim", 0) == 2 for part in answer):
        ids, scores = answer
        if ids.shape != scores.shape:
            raise ValueError(f"f returned ids of shape {ids.shape} and scores of shape {scores.shape}; {_FORMS}")
        real = np.ones(ids.shape, dtype=bool)
        if ids.dtype.kind in "iuf":  # negative ids are padding
            real = ids >= 0
        answer = [(i[kept], s[kept]) for i, s, kept in zip(ids, scores, real)]
    if not isinstance(answer, (list, tuple, np.ndarray)):
        raise TypeError(f"f returned {_shown(answer)} for {n} queries; {_FORMS}")
    if len(answer) != n:
        raise ValueError(f"f returned {len(answer)} rankings for {n} queries; {_FORMS}")
    return [_ranking(ranking) for ranking in answer]


def _ranking(given):
    """Return the ids and scores of a query, from any of their forms."""
    if isinstance(given, Mapping):
        ids, scores = list(given), list(given.values())
    elif isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, (list, np.ndarray)) for part in given):
        ids, scores = given
    elif isinstance(given, (list, tuple, np.ndarray)):
        pairs = list(given)
        strange = [pair for pair in pairs if not isinstance(pair, (list, tuple, np.ndarray)) or len(pair) != 2]
        if strange:
            raise TypeError(f"f returned a ranking that holds {_shown(strange[0])}; {_FORMS}")
        ids, scores = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        raise TypeError(f"f returned {_shown(given)} for a query; {_FORMS}")
    if len(ids) != len(scores):
        raise ValueError(f"f returned {len(ids)} ids and {len(scores)} scores for a query")
    docids = as_id_list(ids, "document")
    check_unique(docids, "document")
    scores = as_numbers(scores, "scores")
    if np.isnan(scores).any():
        bad = [docids[i] for i in np.flatnonzero(np.isnan(scores)).tolist()]
        raise ValueError(f"f returned NaN or None as the score of {show(bad)}")
    ids = np.empty(len(docids), dtype=object)
    ids[:] = docids
    return ids, scores


def _shown(value):
    text = repr(value)
    if len(text) > 60:
        text = text[:59] + "…"
    return f"{text} of type {type(value).__name__}"
