"""CrossEncoder: an open model that reads query and document together."""

import os
import threading
from inspect import signature
from numbers import Integral
from os import PathLike

import numpy as np

from sklrank._caching import Once, Recent
from sklrank._caching.keys import bytes_key, path_key, text_keys
from sklrank._ragged import lengths_to_indptr
from sklrank._session import Repository, TextModel, fetched, picklable
from sklrank._session._source import Source
from sklrank._validation import HasMethods, Interval, StrOptions, validate_params
from sklrank.data import Corpus, Queries, Run, StringArray
from sklrank.rerankers._base_scoring import place
from sklrank.rerankers._score_head import ScoreHead

CONSTRAINTS = {
    "model": [str, PathLike, bytes, bytearray, HasMethods(["run", "get_inputs"])],
    "tokenizer": [str, PathLike, bytes, HasMethods(["encode_batch", "to_str"]), callable, None],
    "activation": [StrOptions({"auto", "identity", "sigmoid", "softmax"})],
    "label": [Interval(Integral, 0, None, closed="left"), None],
    "max_length": [Interval(Integral, 1, None, closed="left")],
    "max_passage": [Interval(Integral, 1, None, closed="left"), None],
    "stride": [Interval(Integral, 1, None, closed="left"), None],
    "how": [StrOptions({"max", "first", "mean"})],
    "output": [str, None],
    "device": [str],
    "providers": [list, tuple, None],
    "max_tokens_per_batch": [Interval(Integral, 1, None, closed="left"), None],
    "cache": [Interval(Integral, 0, None, closed="left")],
    "n_jobs": [Integral, None],
}
STAGE = "cross_encoder"  # name of its runs, and of their column
_WITHOUT_EFFECT = {"model", "tokenizer", "device", "providers", "cache", "n_jobs"}  # on scores, by themselves
_N_HELD = 2  # models kept open though nobody holds them, between two tasks of a search
_N_CACHES = 4  # models whose scores are kept

_OPEN = Recent(_N_HELD)
_SCORES = Recent(_N_CACHES)
_LOCK = threading.Lock()


class CrossEncoder:
    """A model that reads a query and a document together, and says how well they fit.

    This is the open model, for scoring pairs by hand; `CrossEncoderReranker` is the step of a pipeline.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        The ONNX model: a file, its content, or one that is open. It takes ``input_ids`` and, where it has them,
        ``attention_mask``, ``token_type_ids`` and ``position_ids``; it gives one number a row, or one for each label.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The tokenizer of the model: an object, a ``tokenizer.json`` or its content, or a function from a list of queries
        and a list of documents to one sequence of token ids each, special tokens included. ``None``: the
        ``tokenizer.json`` beside the model, or in the folder above.
    activation : {"auto", "identity", "sigmoid", "softmax"}, default="auto"
        What is made of the model's output, the logits. "auto" leaves one number as it is, and makes probabilities of
        several labels.
    label : int, default=None
        The label whose value is the score, of a model that has several; ``None``: the expected grade, labels being the
        grades 0, 1, … The expected grade of two labels is the probability of the second.
    max_length : int, default=512
        Most tokens of a pair, special ones included. Of what is longer, the end of the document is cut off. A query
        of more than half of that is cut there, with a warning.
    max_passage : int, default=None
        Read a document in passages of so many tokens, or as many as fit beside the query, so that nothing of it is cut
        off; ``None``: in one piece.
    stride : int, default=None
        Tokens from the start of one passage to the start of the next; ``None``: `max_passage`, without overlap. The
        last passage ends with the document, and is as long as the others.
    how : {"max", "first", "mean"}, default="max"
        The score of a document, from those of its passages; "first" reads no further than the first.
    output : str, default=None
        Name of the output to take. ``None``: "logits", or the one that gives one number a pair, or the only one.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", or "auto", which takes CUDA where it starts.
    providers : list, default=None
        ONNX Runtime's execution providers, with their options, in the place of `device`.
    max_tokens_per_batch : int, default=None
        Most tokens that the model reads at a time, padding included. None: what suits the device; a model whose int8
        activations are scaled by the batch reads one pair at a time, so that no pair changes what becomes of another.
    cache : int, default=262144
        Most scores to keep, for the model, the query and the document; 0 keeps none. See Notes.
    n_jobs : int, default=None
        Threads of the model on the CPU. ``None`` is 1 unless in a `joblib.parallel_config` context, -1 all of them.

    Attributes
    ----------
    device : str
        Where the model runs: "cpu", "cuda:0", …
    n_labels : int
        How many numbers it gives a pair.

    See Also
    --------
    CrossEncoderReranker : Ranks the candidates of a pipeline.

    Notes
    -----
    Scores are kept in the process, by model, tokenizer, the content of query and document and the settings that matter,
    so that whoever opens the same model again finds them: the same bytes, or a file that has not changed. Those of an
    open session, and with a tokenizer that is a function, are kept as long as this object is.

    Examples
    --------
    >>> from sklrank.rerankers import CrossEncoder
    >>> model = CrossEncoder.from_file("cross-encoder.onnx", tokenizer="tokenizer.json")
    >>> model.score_batch([("heat flow", "laminar flow"), ("heat flow", "cold wing")]).round(2)
    array([ 1.68, -2.05])
    >>> print(model.rank("heat flow", ["cold wing", "laminar flow", "heat"], k=2))
    heat flow
      1  1  1.68336  laminar flow
      2  2  1.19339  heat
    """

    @validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
    def __init__(
        self,
        model,
        *,
        tokenizer=None,
        activation="auto",
        label=None,
        max_length=512,
        max_passage=None,
        stride=None,
        how="max",
        output=None,
        device="auto",
        providers=None,
        max_tokens_per_batch=None,
        cache=1 << 18,
        n_jobs=None,
    ):
        self._settings = {
            "model": model,
            "tokenizer": tokenizer,
            "activation": activation,
            "label": label,
            "max_length": max_length,
            "max_passage": max_passage,
            "stride": stride,
            "how": how,
            "output": output,
            "device": device,
            "providers": providers,
            "max_tokens_per_batch": max_tokens_per_batch,
            "cache": cache,
            "n_jobs": n_jobs,
        }
        self._start()

    @classmethod
    def from_file(cls, path, *, tokenizer=None, **settings):
        """Open a model from a file.

        Parameters
        ----------
        path : path
            The ONNX file.
        tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
            Its tokenizer; ``None``: the ``tokenizer.json`` beside it.
        **settings : dict
            The other parameters of the class.

        Returns
        -------
        CrossEncoder
        """
        return cls(path, tokenizer=tokenizer, **settings)

    @classmethod
    def from_bytes(cls, data, *, tokenizer, **settings):
        """Open a model from its bytes.

        Parameters
        ----------
        data : bytes
            Content of the ONNX file.
        tokenizer : tokenizers.Tokenizer, path, bytes or callable
            Its tokenizer.
        **settings : dict
            The other parameters of the class.

        Returns
        -------
        CrossEncoder
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data is the content of an ONNX file, bytes; got {type(data).__name__}")
        return cls(bytes(data), tokenizer=tokenizer, **settings)

    @classmethod
    def from_hub(cls, repository, *, file="onnx/model.onnx", revision=None, **settings):
        """Open a model on the Hugging Face hub, with its tokenizer and its maximum length.

        Parameters
        ----------
        repository : str
            "organization/name", or a folder that is laid out like a repository.
        file : str, default="onnx/model.onnx"
            Path of the ONNX model within.
        revision : str, default=None
            Branch, tag or commit. None is what the main branch is now.
        **settings : dict
            Parameters of the class, in the place of what the repository says.

        Returns
        -------
        CrossEncoder
        """
        return cls(**of_repository(repository, file, revision, settings))

    @classmethod
    def _shared(cls, settings):
        """The model with these settings, which is opened where nobody has it open."""
        source = Source(settings["model"])
        others = tuple((name, repr(settings[name])) for name in sorted(DEFAULTS) if name != "tokenizer")
        key = (os.getpid(), source.key, _tokenizer_key(settings["tokenizer"]), others)
        return _OPEN.get(key, lambda: cls(**settings))  # which holds what the ids in the key are of

    def _start(self):
        of = self._settings
        if of["stride"] is not None and (of["max_passage"] is None or of["stride"] > of["max_passage"]):
            raise ValueError(
                f"stride={of['stride']} is the way from one passage to the next, no more than max_passage, which is "
                f"{of['max_passage']}"
            )
        model = TextModel(
            of["model"],
            of["tokenizer"],
            device=of["device"],
            providers=of["providers"],
            n_jobs=of["n_jobs"],
            max_length=of["max_length"],
        )
        if of["max_passage"] is not None and not hasattr(model.tokenizer, "spans"):
            raise ValueError("max_passage= needs a tokenizer that tells where tokens stand; a function does not")
        self.device = model.device
        self._head = ScoreHead.of(model, output=of["output"], label=of["label"], activation=of["activation"])
        self.n_labels = self._head.n_labels
        self._scores = self._cache_of(model)
        self._model = model

    def _cache_of(self, model):
        tokenizer = model.tokenizer.fingerprint
        if tokenizer is None or model.source.session is not None or not self._settings["cache"]:
            return Once()
        settings = tuple((name, value) for name, value in self._settings.items() if name not in _WITHOUT_EFFECT)
        key = (model.source.key, tokenizer, model.device, settings)
        return _SCORES.get(key, Once)

    def score(self, query, document):
        """How well a document fits a query.

        Parameters
        ----------
        query : str
        document : str

        Returns
        -------
        float
        """
        return float(self.score_batch([(query, document)])[0])

    def score_batch(self, pairs):
        """How well documents fit queries, pair by pair.

        Parameters
        ----------
        pairs : iterable of (str, str)
            Query and document of each.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        pairs = list(pairs)
        for pair in pairs:
            if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
                raise ValueError(f"pairs are tuples of query and document, got {pair!r:.60}")
        each = np.arange(len(pairs))
        return self._score_pairs([query for query, _ in pairs], [document for _, document in pairs], each, each)

    def rank(self, query, documents, k=None):
        """Rank documents for a query.

        Parameters
        ----------
        query : str
            The query.
        documents : list of str, dict, Corpus or whatever one is made from
            The documents.
        k : int, default=None
            How many to keep; ``None``: all.

        Returns
        -------
        Run
            Of one query; it prints as a ranking with texts.
        """
        if not isinstance(query, str):
            raise TypeError(f"rank takes one query, a str, got {type(query).__name__}")
        if k is not None and (not isinstance(k, Integral) or k < 1):
            raise ValueError(f"k={k!r} is not how many documents to keep, an int of at least 1")
        corpus = documents if isinstance(documents, Corpus) else Corpus(documents)
        rows = np.arange(len(corpus))
        run = Run.from_ragged(np.array([0, len(rows)]), rows, None, queries=Queries([query]), corpus=corpus)
        texts = corpus.text().tolist() if len(corpus) else []
        scores = self._score_pairs([query], texts, np.zeros_like(rows), rows)
        return place(run, np.array([len(rows)]), scores, STAGE, k=k)

    def _score_pairs(self, queries, documents, first, second, report=None):
        """Scores of the pairs ``(queries[first[i]], documents[second[i]])``."""
        for texts, what in ((queries, "query"), (documents, "document")):
            StringArray.from_strings(texts, what=what)  # raises for what is no text
        asked, read = text_keys(queries), text_keys(documents)
        first, second = first.tolist(), second.tolist()

        def make(chosen):
            told = None if report is None else lambda done: report(len(first) - len(chosen) + done)
            pairs = [(queries[first[i]], documents[second[i]]) for i in chosen]
            scores = self._run(*map(list, zip(*pairs)), told)
            bad = np.flatnonzero(np.isnan(scores)).tolist()
            if bad:
                raise ValueError(
                    f"the model gave NaN for {len(bad)} of {len(pairs)} pairs, such as {pairs[bad[0]]!r:.120}: NaN "
                    "ranks nowhere. A model in float16 may overflow: take the one in float32"
                )
            return scores.tolist()

        keys = [(asked[i], read[j]) for i, j in zip(first, second)]
        return np.array(self._opened()._scores.get(keys, make, limit=self._settings["cache"]), dtype=np.float64)

    def _run(self, queries, documents, report):
        """Scores of pairs, by the model."""
        if self._settings["max_passage"] is None:
            return self._read(queries, documents, report)
        tokenizer, asked = self._model.tokenizer, list(dict.fromkeys(queries))
        room = self._model.max_length - tokenizer.pair.n_special
        beside = {query: room - min(len(ids), room // 2) for query, ids in zip(asked, tokenizer.encode(asked))}
        distinct = list(dict.fromkeys(documents))
        spans = dict(zip(distinct, tokenizer.spans(distinct)))
        most = self._settings["max_passage"]
        pairs = [(document, min(most, beside[query])) for query, document in zip(queries, documents)]
        split = {(document, n): self._split(document, spans[document], n) for document, n in set(pairs)}
        parts = [split[pair] for pair in pairs]
        counts = list(map(len, parts))
        starts = lengths_to_indptr(counts)[:-1]
        told = None if report is None else lambda done: report(done * len(documents) // sum(counts))
        repeated = [query for query, n in zip(queries, counts) for _ in range(n)]
        scores = self._read(repeated, [part for one in parts for part in one], told)
        if self._settings["how"] == "mean":
            return np.add.reduceat(scores, starts) / counts
        return np.maximum.reduceat(scores, starts)

    def _split(self, document, spans, n):
        """Passages of `n` tokens of a document, of whose tokens the characters are known."""
        stride = min(self._settings["stride"] or n, n)
        if len(spans) <= n:
            return [document]
        starts = [0] if self._settings["how"] == "first" else [*range(0, len(spans) - n, stride), len(spans) - n]
        return [document[spans[start][0] : spans[start + n - 1][1]] for start in starts]

    def _read(self, queries, documents, report):
        scores = np.empty(len(queries))
        for batch in self._model.pair_batches(
            queries,
            documents,
            [self._head.output],
            max_tokens=self._settings["max_tokens_per_batch"],
            report=report,
        ):
            scores[batch.indices] = self._head.scores(batch.outputs[0])
        return scores

    def _opened(self):
        """The model itself, opened anew after unpickling."""
        if not hasattr(self, "_model"):
            with _LOCK:
                if not hasattr(self, "_model"):
                    self._start()
        return self

    def __getstate__(self):
        travelling = {name: picklable(self._settings[name]) for name in ("model", "tokenizer")}
        return {"_settings": {**self._settings, **travelling}}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __sklearn_clone__(self):
        return self

    def __repr__(self):
        self._opened()
        labels = "one score" if self.n_labels == 1 else f"{self.n_labels} labels"
        return f"<CrossEncoder: {self._model.open.description} on {self.device}, {labels}>"


DEFAULTS = {name: one.default for name, one in signature(CrossEncoder).parameters.items() if name != "model"}


def of_repository(repository, file, revision, parameters):
    """Parameters that a repository states."""
    source = Repository.fetch(repository, file, revision)
    settings = {"model": source.path(file)}
    if "tokenizer" not in parameters:
        settings["tokenizer"] = source.tokenizer
    if (max_length := source.max_length()) is not None:
        settings["max_length"] = max_length
    return {**settings, **parameters}


def _tokenizer_key(tokenizer):
    """What tells a tokenizer from others within a process, as long as whoever opened it lives."""
    if isinstance(tokenizer, bytes):
        return bytes_key(tokenizer)
    tokenizer = fetched(tokenizer)
    return path_key(tokenizer) or (tokenizer if tokenizer is None else id(tokenizer))
