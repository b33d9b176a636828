"""CallableReranker: a function that calls a service or a language model."""

import hashlib
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

from sklrank._retry import call_with_retries, call_with_timeout, pause_after
from sklrank._threads import over_ranges
from sklrank._validation import Interval, StrOptions
from sklrank.data._shapes import as_numbers
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.rerankers._texts import document_texts, query_texts
from sklrank.retrievers._callable import Answers, SharesFunction, answers_of

_EXPECTED = {"scores": "scores, one per document", "order": "positions, best first"}


class CallableReranker(SharesFunction, ScoringReranker):
    """Rank candidates by a function that calls a reranking service, a language model, or any other model.

    ``f(query, documents)`` takes a text and a list of texts. It returns either a score for each document, or the order:
    a list of positions in `documents`, from 0, the best first.

    Parameters
    ----------
    f : callable
        The function. Clones share it. It must pickle to be used in worker processes.
    returns : {"scores", "order"}, default="scores"
        Whether `f` returns scores or an order. Documents that an order leaves out are put at the end, in their old
        order.
    window : int, default=20
        Maximum number of documents per call. If None, it is the number of candidates. See Notes.
    step : int, default=None
        Number of documents by which the window moves, at most its length. If None, it is half of the length, 10. Not
        used for scores.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.
    field : str or list of str, default=None
        Columns of the corpus to read. If None, title and text are joined by a space if both exist.
    timeout : float, default=None
        Seconds after which a call counts as failed. If None, there is no limit.
    retries : int, default=2
        Number of times that a failed call is repeated.
    backoff : float, default=0.5
        Seconds to wait before the first retry. The time doubles with each further retry.
    retry_on : type or tuple of type, default=OSError
        Exceptions after which a call is repeated. OSError includes the exceptions of requests and of the network
        modules of the standard library; for other clients, name their exceptions. If an exception has an HTTP status,
        the call is repeated only if the status is temporary.
    cache : int, default=10000
        Maximum number of results to keep. A result is the answer of `f` to a query and some documents. If 0, none are
        kept.
    n_jobs : int, default=None
        Number of threads. Each calls `f` for different queries. The result does not depend on it.

    See Also
    --------
    CrossEncoderReranker : Ranks by a model that runs in this process.
    sklrank.retrievers.CallableRetriever : Retrieves by a function that calls a search engine.

    Notes
    -----
    **Scores** of different calls can be compared. The candidates of a query are therefore cut into windows, with one
    call per window. **Orders** of different calls cannot be compared. The window slides over the candidates from the
    bottom up, and each call orders the documents in it, so that good documents move to the top with the window. The
    scores of such a ranking are the ranks in reverse.

    **Answers are kept** for the function, in the process. A parameter search thus does not ask the same question twice.

    A call that timed out continues in its thread, because it cannot be stopped. Set a time limit in the client of the
    service, too.

    No parameter needs a new `fit`. All take effect at once.

    References
    ----------
    Sun et al., "Is ChatGPT good at search? Investigating large language models as re-ranking agents", EMNLP 2023 (the
    sliding window).

    Examples
    --------
    >>> from sklrank import Corpus, Run
    >>> from sklrank.rerankers import CallableReranker
    >>> def shortest_first(query, documents):
    ...     return sorted(range(len(documents)), key=lambda i: len(documents[i]))
    >>> run = Run([["0", "1", "2"]], queries=["heat"], corpus=Corpus(["heat transfer", "heat flow", "heat"]))
    >>> CallableReranker(shortest_first, returns="order", window=2).predict(run).docids
    [['2', '0', '1']]

    A window of two that moves by one brings the best document to the top. The others are not fully sorted.
    """

    _stage = "callable_reranker"

    _parameter_constraints: dict = {
        **ScoringReranker._parameter_constraints,
        "f": [callable],
        "returns": [StrOptions({"scores", "order"})],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "step": [Interval(Integral, 1, None, closed="left"), None],
        "field": "no_validation",
        "timeout": [Interval(Real, 0, None, closed="neither"), None],
        "retries": [Interval(Integral, 0, None, closed="left")],
        "backoff": [Interval(Real, 0, None, closed="left")],
        "retry_on": [type, tuple],
        "cache": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        f,
        *,
        returns="scores",
        window=20,
        step=None,
        depth=None,
        tail="drop",
        k=None,
        field=None,
        timeout=None,
        retries=2,
        backoff=0.5,
        retry_on=OSError,
        cache=10000,
        n_jobs=None,
    ):
        self.f = f
        self.returns = returns
        self.window = window
        self.step = step
        self.depth = depth
        self.tail = tail
        self.k = k
        self.field = field
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff
        self.retry_on = retry_on
        self.cache = cache
        self.n_jobs = n_jobs

    @property
    def _pointwise(self):
        return self.returns == "scores"

    def _open(self):
        if self.step is not None and self.window is not None and self.step > self.window:
            raise ValueError(
                f"step={self.step} is greater than window={self.window}, so the window would skip some candidates"
            )

    def _score(self, candidates):
        self._open()
        texts, which = document_texts(candidates, self.field)
        queries = query_texts(candidates)
        edges, which = candidates.indptr.tolist(), which.tolist()
        scores = np.empty(len(which))
        rate = self._slide
        if self.returns == "scores":
            rate = self._rate

        def work(start, stop):
            for q in range(start, stop):
                entries = slice(edges[q], edges[q + 1])
                if edges[q] < edges[q + 1]:
                    scores[entries] = rate(queries[q], [texts[i] for i in which[entries]])

        over_ranges(work, len(queries), self.n_jobs, per_thread=1)
        return scores

    def _rate(self, query, documents):
        """Return the scores of documents, computed window by window."""
        window = self.window or len(documents)
        starts = range(0, len(documents), window)
        return np.concatenate([self._ask(query, documents[start : start + window]) for start in starts])

    def _slide(self, query, documents):
        """Order the documents by a window that slides from the bottom up; return scores that decrease with the rank."""
        n = len(documents)
        if n == 1:
            return np.ones(1)
        window = min(self.window or n, n)
        step = self.step or max(1, window // 2)
        order = list(range(n))
        for start in [*range(n - window, 0, -step), 0]:
            part = order[start : start + window]
            answer = self._ask(query, [documents[i] for i in part])
            left_out = [i for i in range(window) if i not in set(answer)]
            order[start : start + window] = [part[i] for i in [*answer, *left_out]]
        scores = np.empty(n)
        scores[order] = np.arange(n, 0, -1)
        return scores

    def _ask(self, query, documents):
        """Return the answer of `f`, kept or new."""
        content = hashlib.blake2b(digest_size=16)
        for document in documents:
            content.update(f"{len(document)} {document}".encode())
        key = (self.returns, query, content.digest())
        answers = Answers(self.f)
        if self.cache:
            answers = answers_of(self.f)
        return answers.get([key], lambda _: [self._call(query, documents)], limit=self.cache)[0]

    def _call(self, query, documents):
        def call():
            return call_with_timeout(lambda: self.f(query, list(documents)), self.timeout)

        pause_of = pause_after(self.retry_on)
        answer = call_with_retries(call, retries=self.retries, backoff=self.backoff, pause_of=pause_of)
        if not isinstance(answer, Iterable):  # such as the coroutine of an async function
            raise TypeError(f"expected f to return a list of {_EXPECTED[self.returns]}, got {type(answer).__name__}")
        if self.returns == "scores":
            scores = np.asarray(as_numbers(answer, "scores"), dtype=np.float64)
            if scores.shape != (len(documents),):
                raise ValueError(
                    f"expected f to return one score for each document, got {scores.size} scores for {len(documents)} "
                    "documents"
                )
            if np.isnan(scores).any():
                raise ValueError(f"f returned the scores {scores.tolist()!r:.80}; NaN has no rank")
            return scores
        if isinstance(answer, np.ndarray):
            answer = answer.tolist()
        order = list(answer)
        positions = [i for i in order if _is_integer(i) and 0 <= i < len(documents)]
        if len(set(positions)) < len(order):
            raise ValueError(
                f"expected f to return positions from 0 to {len(documents) - 1}, each at most once, got {order!r:.80}; "
                "if these are scores, set returns='scores'"
            )
        return order


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)
