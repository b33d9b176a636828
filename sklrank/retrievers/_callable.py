"""CallableRetriever: a search engine elsewhere, behind a function."""

import uuid
from collections.abc import Mapping
from copy import copy
from multiprocessing import parent_process
from numbers import Integral, Real

import joblib
import numpy as np

from sklrank._caching import Once, Recent
from sklrank._retry import call_with_retries, call_with_timeout, pause_after
from sklrank._threads import over_ranges
from sklrank._validation import Interval, _fit_context, check_fitted
from sklrank.data import Queries
from sklrank.data._ids import as_id_list, check_unique, show
from sklrank.data._shapes import as_numbers
from sklrank.data._strings import StringArray
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._elsewhere import run_of
from sklrank.retrievers._filters import resolve_filter

_N_FUNCTIONS = 16  # functions whose answers a process keeps
_FORMS = (
    "needed is for each query a list of (id, score) pairs, a dict of id to score, or a tuple of ids and scores; or for "
    "all of them a tuple of two arrays of shape (n_queries, k), ids and scores"
)


class SharesFunction:
    """Mixin of estimators with a function `f`: clones share it, and its answers, and so do the tasks of a worker."""

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
        if parent_process() is not None:  # a worker: each task brings the function anew
            self.f = answers_of(self.f, token).f


class CallableRetriever(SharesFunction, CorpusRetriever):
    """Ask a function: a search engine, a database or a web service as a retriever.

    ``f(queries, k)`` gets a list of queries and returns for each the best `k` documents, as it knows them, in one of
    these forms: a list of ``(id, score)`` pairs, a dict of id to score, or a tuple of two lists or arrays, ids and
    scores; or, for all queries together, a tuple of two arrays of shape ``(n_queries, k)``, in which negative ids are
    padding. What it returns is checked, ordered by score and cut at `k`.

    Parameters
    ----------
    f : callable
        The function. Clones share it. To travel to worker processes it has to pickle.
    corpus : Corpus or whatever one is made from, default=None
        The documents that `f` searches. An id that is not among them is an error. ``None``: `f` knows the documents and
        nobody else does; see Notes.
    k : int, default=100
        Most documents that a query finds.
    query_field : str or list of str, default=None
        Column of the queries that `f` gets; of several, it gets a dict for each query. ``None``: the text, or
        the vectors of queries that are a matrix, of which it gets rows.
    higher_is_better : bool, default=True
        False for distances; their negatives become the scores.
    batch_size : int, default=32
        Most queries in one call.
    timeout : float, default=None
        Seconds after which a call that has not returned counts as failed. ``None``: no limit.
    retries : int, default=2
        How often a call that failed is tried again.
    backoff : float, default=0.5
        Seconds to wait before the first further try; twice as long before each one after that.
    retry_on : type or tuple of type, default=OSError
        Errors that may pass. OSError is what those of the standard library's network modules and of requests are;
        name those of your client. Where they carry an HTTP status, it has to be one that may pass, too.
    cache : int, default=10000
        Most answers to keep, each that of `f` to a query and a `k`; 0 keeps none.
    filter : mask, list of ids, or one of these per query, default=None
        Documents of the corpus that may be found.
    filter_field : str, default=None
        Column of the queries that holds a filter for each.
    n_jobs : int, default=None
        Threads that call `f`, each with batches of its own.

    Attributes
    ----------
    corpus_ : Corpus or None
        The documents.

    See Also
    --------
    QdrantRetriever : Qdrant, without a function.
    RetrieverUnion : Unites the candidates of several retrievers.

    Notes
    -----
    **Without a corpus**, `fit` does not take `X` for the documents, as other retrievers do: there is nothing to index.
    The runs hold ids alone, which metrics, fusers and files ask no more of; filters, snippets and `fields=` need the
    corpus.

    **Ties** are in the order of the corpus; without one, in the order in which `f` gave them.

    **Answers are kept** for the function, in the process, so that a grid search asks each query once, whatever it
    varies: clones share them, and so do the tasks of a worker. If the content of the engine changes, say ``cache=0``,
    or ``clear_cache()`` when it did. A `RetrieverUnion` keeps no ranking of a function.

    **Filters** apply to what `f` found; where too few of that pass, `f` is asked for twice as many, until `k` do or
    `f` has no more. A filter that the engine can apply itself is cheaper in `f`, with `query_field` for what differs
    from query to query.

    A call that timed out goes on in its thread, since nothing can stop it: give the client of your engine a limit of
    its own.

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
        **{name: of for name, of in CorpusRetriever._parameter_constraints.items() if name != "field"},
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
        """Take the corpus, where there is one; nothing is indexed, and nothing learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries; not used.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        if self.corpus is None:
            self.corpus_ = None
        else:
            self._set_corpus(X, y)
        return self

    def clear_cache(self):
        """Forget the answers of `f`, as when the content of the engine changed.

        Returns
        -------
        self
        """
        answers_of(self.f).clear()
        return self

    # --- what is asked
    def _search(self, X, k, filter=None):
        check_fitted(self, "corpus_")
        queries = Queries.of(X)
        asked = self._asked(queries)
        if filter is None:
            filter = self.filter_of(queries)
        if filter is None:
            found = self._ask(asked, np.arange(len(queries)), k)
        elif self.corpus_ is None:
            raise ValueError("a filter says which documents of the corpus may be found: give corpus=, or filter in f")
        else:
            found = []
            for start, stop, masks, mask_of in resolve_filter(filter, len(queries), self.corpus_):
                mask_of = [None if m < 0 else masks[m].view(bool) for m in mask_of.tolist()]
                found += self._ask_until(asked, np.arange(start, stop), k, mask_of)
        if not self.higher_is_better:
            found = [(ids, -scores) for ids, scores in found]
        return run_of(found, queries, self.corpus_, self._rows, k, self._stage)

    def _asked(self, queries):
        """What `f` is to get of each query: a list, or an array of vectors."""
        field = self.query_field
        if field is None:
            if "text" not in queries.columns and not queries.is_matrix:
                raise ValueError(f"the queries have the columns {list(queries.columns)}; say query_field=")
            return queries.matrix if queries.is_matrix else queries.texts
        if isinstance(field, str):
            return _listed(queries[field])
        columns = [_listed(queries[name]) for name in field]
        return [dict(zip(field, values)) for values in zip(*columns)]

    def _ask(self, asked, positions, k):
        """Ids and scores of the queries at `positions`, each asked once, and not at all where the answer is kept."""
        texts = isinstance(asked, list) and all(isinstance(one, str) for one in asked)
        keys = [(asked[i] if texts else joblib.hash(_take(asked, [i])), k) for i in positions.tolist()]
        answers = answers_of(self.f) if self.cache else Answers(self.f)

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
        """As `_ask`, of more and more documents until the masks leave `k` of them, or there are no more."""
        found, left, depth = [None] * len(positions), np.arange(len(positions)), k
        while len(left):
            unmet = []
            for i, (ids, scores) in zip(left.tolist(), self._ask(asked, positions[left], depth)):
                kept = np.ones(len(ids), dtype=bool) if masks[i] is None else masks[i][self._rows(ids)]
                found[i] = ids[kept], scores[kept]
                wanted = k if masks[i] is None else min(k, masks[i].sum())
                if kept.sum() < wanted and len(ids) >= depth and depth < len(self.corpus_):
                    unmet.append(i)
            left, depth = np.array(unmet, dtype=np.int64), min(2 * depth, len(self.corpus_))
        return found

    def _rows(self, ids):
        try:
            return self.corpus_.rows(ids)
        except ValueError as error:
            raise ValueError(f"f found documents that the corpus does not have: {error}") from None


class Answers(Once):
    """What a function answered, by query and k; asked once, even if several threads want to know.

    Parameters
    ----------
    f : callable
    token : str, default=None
        What tells the function from others, in every process. ``None``: a new one.
    """

    def __init__(self, f, token=None):
        super().__init__()
        self.f = f
        self.token = uuid.uuid4().hex if token is None else token


_KNOWN = Recent(_N_FUNCTIONS)  # answers of the functions asked last


def answers_of(f, token=None):
    """The answers of `f`, or of the function of `token`, which came to this process before."""

    def matches(known):
        # Methods are made anew each time that somebody looks for them; equal ones are of one object.
        is_method = hasattr(f, "__self__") and type(known.f) is type(f)
        return known.token == token or known.f is f or (is_method and known.f == f)

    return _KNOWN.find(matches, lambda: Answers(f, token))


def _listed(column):
    return column.tolist() if isinstance(column, StringArray) or getattr(column, "ndim", 2) == 1 else column


def _take(asked, positions):
    return [asked[i] for i in positions] if isinstance(asked, list) else asked[np.asarray(positions)]


def _rankings(answer, n):
    """Ids and scores of each query, out of what a function returned for `n` queries."""
    if isinstance(answer, tuple) and len(answer) == 2 and all(getattr(part, "ndim", 0) == 2 for part in answer):
        ids, scores = answer
        if ids.shape != scores.shape:
            raise ValueError(f"f returned ids of shape {ids.shape} and scores of shape {scores.shape}; {_FORMS}")
        real = ids >= 0 if ids.dtype.kind in "iuf" else np.ones(ids.shape, dtype=bool)
        answer = [(i[kept], s[kept]) for i, s, kept in zip(ids, scores, real)]
    if not isinstance(answer, (list, tuple, np.ndarray)):
        raise TypeError(f"f returned {_shown(answer)} for {n} queries; {_FORMS}")
    if len(answer) != n:
        raise ValueError(f"f returned {len(answer)} rankings for {n} queries; {_FORMS}")
    return [_ranking(one) for one in answer]


def _ranking(one):
    if isinstance(one, Mapping):
        ids, scores = list(one), list(one.values())
    elif isinstance(one, tuple) and len(one) == 2 and all(isinstance(part, (list, np.ndarray)) for part in one):
        ids, scores = one
    elif isinstance(one, (list, tuple, np.ndarray)):
        pairs = list(one)
        strange = [pair for pair in pairs if not isinstance(pair, (list, tuple, np.ndarray)) or len(pair) != 2]
        if strange:
            raise TypeError(f"f returned a ranking that holds {_shown(strange[0])}; {_FORMS}")
        ids, scores = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        raise TypeError(f"f returned {_shown(one)} for a query; {_FORMS}")
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
    return f"{text if len(text) <= 60 else text[:59] + '…'} of type {type(value).__name__}"
