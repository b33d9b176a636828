"""CrossEncoder: an open model that reads a query and a document together."""

import os
import threading
from inspect import signature
from itertools import chain
from numbers import Integral
from os import PathLike

import numpy as np

from sklrank._caching import Once, Recent
from sklrank._caching.keys import bytes_key, path_key, text_keys
from sklrank._ragged import lengths_to_indptr
from sklrank._session import TOKENIZER_FORMS, Repository, TextModel, fetched, picklable
from sklrank._session._source import Source
from sklrank._validation import HasMethods, Interval, StrOptions, validate_params
from sklrank.data import Corpus, Queries, Run, StringArray
from sklrank.rerankers._base_scoring import place
from sklrank.rerankers._score_head import ScoreHead

CONSTRAINTS = {
    "model": [str, PathLike, bytes, bytearray, HasMethods(["run", "get_inputs"])],
    "tokenizer": TOKENIZER_FORMS,
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
STAGE = "cross_encoder"  # name of the runs, and of their score column
_WITHOUT_EFFECT = {"model", "tokenizer", "device", "providers", "cache", "n_jobs"}  # settings that do not change scores
_N_HELD = 2  # number of models kept open between two tasks of a parameter search
_N_CACHES = 4  # number of models whose scores are kept

_OPEN = Recent(_N_HELD)
_SCORES = Recent(_N_CACHES)
_LOCK = threading.Lock()


class CrossEncoder:
    """Score pairs of a query and a document by a model that reads both together.

    This is the open model, for scoring pairs directly. `CrossEncoderReranker` is the step of a pipeline.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        ONNX model. It is a file, its content, or an open session. Its inputs are ``input_ids`` and optionally
        ``attention_mask``, ``token_type_ids`` and ``position_ids``. Its output has one number per row, or one per
        label.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer of the model. It is an object, a ``tokenizer.json`` file or its content, or a function that takes a
        list of queries and a list of documents, and returns a sequence of token ids for each pair, special tokens
        included. If None, it is the ``tokenizer.json`` in the folder of the model, or in the folder above.
    activation : {"auto", "identity", "sigmoid", "softmax"}, default="auto"
        Function applied to the model's output. The output holds logits. "auto" is "identity" for a model with one
        number per pair, and "softmax" for a model with several labels.
    label : int, default=None
        Label whose value is the score, for a model with several labels. If None, the score is the expected grade, where
        the labels are the grades 0, 1, … With two labels, this is the probability of the second.
    max_length : int, default=512
        Maximum number of tokens per input, special tokens included. The end of a longer document is cut off. A query
        longer than half of `max_length` is cut at that length, with a warning.
    max_passage : int, default=None
        Maximum number of tokens per passage. A document is read in passages of this length, or shorter ones if the
        query leaves less room, so that no part of it is cut off. If None, a document is read as one text.
    stride : int, default=None
        Number of tokens from the start of one passage to the start of the next. If None, it is `max_passage`, so that
        passages do not overlap. The last passage ends with the document, and is as long as the others.
    how : {"max", "first", "mean"}, default="max"
        Function that combines the scores of passages. "first" reads only the first passage.
    output : str, default=None
        Name of the model output to use. If None, it is "logits", the output with one number per pair, or the only
        output.
    device : str, default="auto"
        Device that runs the model. It is "cpu", "cuda", "cuda:1", or "auto", which is CUDA if it starts, otherwise the
        CPU.
    providers : list, default=None
        Execution providers of ONNX Runtime, with their options, instead of `device`.
    max_tokens_per_batch : int, default=None
        Maximum number of tokens per batch, padding included. If None, a number that suits the device is chosen. A model
        whose int8 activations are scaled per batch reads one pair at a time, so that a pair does not change the score
        of another.
    cache : int, default=262144
        Maximum number of results to keep. A result is the score of a query and a document by the model. If 0, none are
        kept. See Notes.
    n_jobs : int, default=None
        Number of threads. They run the model on the CPU. None means 1 unless in a `joblib.parallel_config` context, and
        -1 means all processors.

    Attributes
    ----------
    device : str
        Device that runs the model: "cpu", "cuda:0", …
    n_labels : int
        Number of values that the model returns per pair.

    See Also
    --------
    CrossEncoderReranker : Ranks the candidates of a pipeline.

    Notes
    -----
    Scores are kept in the process, by the model, the tokenizer, the content of query and document, and the settings
    that change scores. If the same model is opened again, from the same bytes or from a file that has not changed,
    these scores are used. If the model is an open session, or the tokenizer is a function, the scores are kept as long
    as this object.

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
            ONNX file.
        tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
            Tokenizer of the model. If None, it is the ``tokenizer.json`` in the folder of the model.
        **settings : dict
            Other parameters of the class.

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
            Tokenizer of the model.
        **settings : dict
            Other parameters of the class.

        Returns
        -------
        CrossEncoder
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected data to be the content of an ONNX file, bytes, got {type(data).__name__}")
        return cls(bytes(data), tokenizer=tokenizer, **settings)

    @classmethod
    def from_hub(cls, repository, *, file="onnx/model.onnx", revision=None, **settings):
        """Open a model from the Hugging Face hub, with its tokenizer and its maximum length.

        Parameters
        ----------
        repository : str
            "organization/name", or a folder with the layout of a repository.
        file : str, default="onnx/model.onnx"
            Path of the ONNX model in the repository.
        revision : str, default=None
            Branch, tag or commit. If None, it is the current main branch.
        **settings : dict
            Parameters of the class, instead of those of the repository.

        Returns
        -------
        CrossEncoder
        """
        return cls(**of_repository(repository, file, revision, settings))

    @classmethod
    def _shared(cls, settings):
        """Return the model with these settings, which is opened if it is not open already."""
        source = Source(settings["model"])
        others = tuple((name, repr(settings[name])) for name in sorted(DEFAULTS) if name != "tokenizer")
        key = (os.getpid(), source.key, _tokenizer_key(settings["tokenizer"]), others)
        return _OPEN.get(key, lambda: cls(**settings))  # the model holds the objects whose ids are in the key

    def _start(self):
        settings = self._settings
        stride, max_passage = settings["stride"], settings["max_passage"]
        if stride is not None and (max_passage is None or stride > max_passage):
            raise ValueError(
                f"expected stride, the step from one passage to the next, to be at most max_passage={max_passage}, got "
                f"stride={stride}"
            )
        model = TextModel(
            settings["model"],
            settings["tokenizer"],
            device=settings["device"],
            providers=settings["providers"],
            n_jobs=settings["n_jobs"],
            max_length=settings["max_length"],
        )
        if max_passage is not None and not hasattr(model.tokenizer, "spans"):
            raise ValueError("max_passage= needs a tokenizer that returns the positions of tokens; a function does not")
        self.device = model.device
        head = {name: settings[name] for name in ("output", "label", "activation")}
        self._head = ScoreHead.of(model, **head)
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
        """Score a document for a query.

        Parameters
        ----------
        query : str
            Text of the query.
        document : str
            Text of the document.

        Returns
        -------
        float
        """
        return float(self.score_batch([(query, document)])[0])

    def score_batch(self, pairs):
        """Score pairs of a query and a document.

        Parameters
        ----------
        pairs : iterable of (str, str)
            Query and document of each pair.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        pairs = list(pairs)
        for pair in pairs:
            if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
                raise ValueError(f"expected pairs to be tuples of query and document, got {pair!r:.60}")
        each = np.arange(len(pairs))
        return self._score_pairs([query for query, _ in pairs], [document for _, document in pairs], each, each)

    def rank(self, query, documents, k=None):
        """Rank documents for a query.

        Parameters
        ----------
        query : str
            Text of the query.
        documents : Corpus or input of Corpus
            The documents.
        k : int, default=None
            Number of documents to return. If None, all are returned.

        Returns
        -------
        Run
            Ranking of one query. It prints with texts.
        """
        if not isinstance(query, str):
            raise TypeError(f"expected one query, a str, got {type(query).__name__}")
        if k is not None and (not isinstance(k, Integral) or k < 1):
            raise ValueError(f"expected k, the number of documents to return, to be an int of at least 1, got {k!r}")
        corpus = documents
        if not isinstance(documents, Corpus):
            corpus = Corpus(documents)
        rows = np.arange(len(corpus))
        run = Run.from_ragged(np.array([0, len(rows)]), rows, None, queries=Queries([query]), corpus=corpus)
        texts = []
        if len(corpus):
            texts = corpus.text().tolist()
        scores = self._score_pairs([query], texts, np.zeros_like(rows), rows)
        return place(run, np.array([len(rows)]), scores, STAGE, k=k)

    def _score_pairs(self, queries, documents, first, second, report=None):
        """Return the scores of the pairs ``(queries[first[i]], documents[second[i]])``."""
        for texts, what in ((queries, "query"), (documents, "document")):
            StringArray.from_strings(texts, what=what)  # raises if a value is not a text
        query_keys, document_keys = text_keys(queries), text_keys(documents)
        first, second = first.tolist(), second.tolist()

        def make(chosen):
            told = report and (lambda done: report(len(first) - len(chosen) + done))
            pairs = [(queries[first[i]], documents[second[i]]) for i in chosen]
            scores = self._run(*map(list, zip(*pairs)), told)
            bad = np.flatnonzero(np.isnan(scores)).tolist()
            if bad:
                raise ValueError(
                    f"the model returned NaN for {len(bad)} of {len(pairs)} pairs, such as {pairs[bad[0]]!r:.120}; a "
                    "model in float16 may overflow: use the one in float32"
                )
            return scores.tolist()

        keys = [(query_keys[i], document_keys[j]) for i, j in zip(first, second)]
        return np.array(self._opened()._scores.get(keys, make, limit=self._settings["cache"]), dtype=np.float64)

    def _run(self, queries, documents, report):
        """Return the scores of pairs, computed by the model."""
        if self._settings["max_passage"] is None:
            return self._read(queries, documents, report)
        passages = self._passages(queries, documents)
        counts = list(map(len, passages))
        starts = lengths_to_indptr(counts)[:-1]
        told = report and (lambda done: report(done * len(documents) // sum(counts)))
        repeated = [query for query, n in zip(queries, counts) for _ in range(n)]
        scores = self._read(repeated, list(chain.from_iterable(passages)), told)
        if self._settings["how"] == "mean":
            return np.add.reduceat(scores, starts) / counts
        return np.maximum.reduceat(scores, starts)

    def _passages(self, queries, documents):
        """Return the passages of the document of each pair, which are as long as the query allows."""
        tokenizer, distinct = self._model.tokenizer, list(dict.fromkeys(queries))
        room = self._model.max_length - tokenizer.pair.n_special
        room_of = {query: room - min(len(ids), room // 2) for query, ids in zip(distinct, tokenizer.encode(distinct))}
        distinct = list(dict.fromkeys(documents))
        spans = dict(zip(distinct, tokenizer.spans(distinct)))
        limit = self._settings["max_passage"]
        pairs = [(document, min(limit, room_of[query])) for query, document in zip(queries, documents)]
        split = {(document, n): self._split(document, spans[document], n) for document, n in set(pairs)}
        return [split[pair] for pair in pairs]

    def _split(self, document, spans, n):
        """Split a document into passages of `n` tokens; `spans` are the characters of its tokens."""
        stride = min(self._settings["stride"] or n, n)
        if len(spans) <= n:
            return [document]
        starts = [*range(0, len(spans) - n, stride), len(spans) - n]
        if self._settings["how"] == "first":
            starts = [0]
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
        """Return the model, opened again after unpickling."""
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
        labels = f"{self.n_labels} labels"
        if self.n_labels == 1:
            labels = "one score"
        return f"<CrossEncoder: {self._model.open.description} on {self.device}, {labels}>"


DEFAULTS = {name: value.default for name, value in signature(CrossEncoder).parameters.items() if name != "model"}


def of_repository(repository, file, revision, parameters):
    """Return the parameters of a model in a repository."""
    source = Repository.fetch(repository, file, revision)
    settings = {"model": source.path(file)}
    if "tokenizer" not in parameters:
        settings["tokenizer"] = source.tokenizer
    if (max_length := source.max_length()) is not None:
        settings["max_length"] = max_length
    return {**settings, **parameters}


def _tokenizer_key(tokenizer):
    """Return a key of a tokenizer within a process. It is valid as long as the tokenizer exists."""
    if tokenizer is None:
        return None
    if isinstance(tokenizer, bytes):
        return bytes_key(tokenizer)
    tokenizer = fetched(tokenizer)
    return path_key(tokenizer) or id(tokenizer)
