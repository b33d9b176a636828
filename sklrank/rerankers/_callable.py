"""CallableReranker: a service or a language model, behind a function."""

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

_NEEDED = {"scores": "scores, one a document", "order": "positions, best first"}


class CallableReranker(SharesFunction, ScoringReranker):
    """Ask a function: a reranking service, a language model, or any model of your own.

    ``f(query, documents)`` gets a text and a list of texts, and returns either a score for each, or the order: a list
    of positions in `documents`, from 0, the best first.

    Parameters
    ----------
    f : callable
        The function. Clones share it. To travel to worker processes it has to pickle.
    returns : {"scores", "order"}, default="scores"
        What `f` returns. Positions that an order leaves out come behind, as they stood.
    window : int, default=20
        Most documents in one call; ``None``: all candidates. See Notes.
    step : int, default=None
        How far the window moves, of at most its length; ``None``: half of it, 10. Scores need no such thing.
    depth : int, default=None
        How many candidates of each query to rank, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        What becomes of the others: they are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.
    field : str or list of str, default=None
        Columns of the corpus to read. ``None``: title and text joined by a space where both exist.
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
        Most answers to keep, each that of `f` to a query and some documents; 0 keeps none.
    n_jobs : int, default=None
        Threads that call `f`, each for queries of its own.

    See Also
    --------
    CrossEncoderReranker : A model that runs here.
    sklrank.retrievers.CallableRetriever : A search engine behind a function.

    Notes
    -----
    **Scores** can be compared from one call to the next, so that the candidates of a query are cut into windows, one
    call each. **Orders** cannot: the window slides over the candidates from the bottom up, and each call orders what
    stands in it, so that what is good rises with the window to the top. The scores of such a ranking are ranks turned
    round.

    **Answers are kept** for the function, in the process, so that a search over other parameters asks nothing twice.

    A call that timed out goes on in its thread, since nothing can stop it: give the client of your service a limit of
    its own.

    Parameters that need a new `fit`: none. All take effect at once.

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

    A window of two, moved one by one, sorts the best to the top, and leaves the others for a second look.
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
                f"step={self.step} is greater than window={self.window}, so that some candidates would never be seen"
            )

    def _score(self, candidates):
        self._open()
        texts, which = document_texts(candidates, self.field)
        queries = query_texts(candidates)
        edges, which = candidates.indptr.tolist(), which.tolist()
        scores = np.empty(len(which))
        rate = self._rate if self.returns == "scores" else self._slide

        def work(start, stop):
            for q in range(start, stop):
                entries = slice(edges[q], edges[q + 1])
                if edges[q] < edges[q + 1]:
                    scores[entries] = rate(queries[q], [texts[i] for i in which[entries]])

        over_ranges(work, len(queries), self.n_jobs, per_thread=1)
        return scores

    def _rate(self, query, documents):
        """Scores of documents, window by window."""
        window = self.window or len(documents)
        starts = range(0, len(documents), window)
        return np.concatenate([self._ask(query, documents[start : start + window]) for start in starts])

    def _slide(self, query, documents):
        """Scores that fall with the rank, after a window went over the documents from the bottom up."""
        n = len(documents)
        window = min(self.window or n, n)
        step = self.step or max(1, window // 2)
        order = list(range(n))
        for start in [*range(n - window, 0, -step), 0] if n > 1 else []:
            part = order[start : start + window]
            answer = self._ask(query, [documents[i] for i in part])
            left_out = [i for i in range(window) if i not in set(answer)]
            order[start : start + window] = [part[i] for i in [*answer, *left_out]]
        scores = np.empty(n)
        scores[order] = np.arange(n, 0, -1)
        return scores

    def _ask(self, query, documents):
        """What `f` answers, from before where that is kept."""
        content = hashlib.blake2b(digest_size=16)
        for document in documents:
            content.update(f"{len(document)} {document}".encode())
        key = (self.returns, query, content.digest())
        answers = answers_of(self.f) if self.cache else Answers(self.f)
        return answers.get([key], lambda _: [self._call(query, documents)], limit=self.cache)[0]

    def _call(self, query, documents):
        def call():
            return call_with_timeout(lambda: self.f(query, list(documents)), self.timeout)

        pause_of = pause_after(self.retry_on)
        answer = call_with_retries(call, retries=self.retries, backoff=self.backoff, pause_of=pause_of)
        if not isinstance(answer, Iterable):  # such as the coroutine of an async function
            raise TypeError(f"f returned {type(answer).__name__}; needed is a list of {_NEEDED[self.returns]}")
        if self.returns == "scores":
            scores = np.asarray(as_numbers(answer, "scores"), dtype=np.float64)
            if scores.shape != (len(documents),):
                raise ValueError(f"f gave {scores.size} scores to {len(documents)} documents; needed is one for each")
            if np.isnan(scores).any():
                raise ValueError(f"f gave the scores {scores.tolist()!r:.80}; NaN ranks nowhere")
            return scores
        order = answer.tolist() if isinstance(answer, np.ndarray) else list(answer)
        positions = [i for i in order if _is_integer(i) and 0 <= i < len(documents)]
        if len(set(positions)) < len(order):
            raise ValueError(
                f"f gave the order {order!r:.80} of {len(documents)} documents; needed are positions from 0 to "
                f"{len(documents) - 1}, each at most once. If these are scores, say returns='scores'"
            )
        return order


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)
