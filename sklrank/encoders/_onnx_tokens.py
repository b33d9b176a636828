"""Texts to one vector a token."""

import string
import warnings
from numbers import Integral

import numpy as np

from sklrank._ragged import lengths_to_indptr
from sklrank._session import Rows, Template
from sklrank._validation import Interval, StrOptions
from sklrank._vectors import prepare
from sklrank.data import TokenVectors
from sklrank.encoders._onnx import OnnxEncoder, as_texts, check_finite

_MASKS = ("[MASK]", "<mask>")


class OnnxTokenEncoder(OnnxEncoder):
    """Encode texts as one vector a token, by an ONNX model, for late interaction.

    What ColBERT and its kin compare by MaxSim: a query and a document are each a matrix. Queries are *expanded*: filled
    up to `query_length` with mask tokens, for which the model makes up terms that the query might have had. Of
    documents, punctuation is left out. So there is one encoder for each `role`, with the same model.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        The ONNX model: a file, its content, or one that is open. It takes ``input_ids`` and, where it has them,
        ``attention_mask``, ``token_type_ids`` and ``position_ids``.

    role : {"document", "query"}, default="document"
        What the texts are.

    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The tokenizer of the model: an object, a ``tokenizer.json`` or its content, or a function from a list of texts
        to one sequence of token ids each, special tokens included. None takes the ``tokenizer.json`` beside the model,
        or in the folder above. Padding and truncation that are switched on inside are ignored.

    prefix : str, default=""
        What is put before each text, where the model was trained so: "query: ", "passage: ".

    marker : str, default=None
        Token that tells the model the role, behind the first special token, such as "[unused0]" for queries and
        "[unused1]" for documents of ColBERT.

    query_length : int, default=32
        Queries with fewer tokens, special ones included, are filled up to so many with mask tokens. Longer ones are
        kept whole, up to `max_length`, beyond which they are cut with a warning. None expands nothing.

    attend_to_expansion : bool, default=False
        Whether the tokens of the query attend to the masks.

    skip_punctuation : bool, default=True
        Whether punctuation of documents is left out, after the model has read it.

    special_tokens : bool, default=True
        Whether the vectors of special tokens are kept. ColBERT keeps them; of models that were not trained for MaxSim
        they are better left out.

    normalize : bool, default=True
        Whether vectors are divided by their length.

    max_length : int, default=512
        Most tokens that are read of a text, special ones included; the rest is cut off.

    output : str, default=None
        Name of the model's output to take. None: the first with the dimensions that are needed.

    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", or "auto", which takes CUDA where it starts.

    providers : list, default=None
        ONNX Runtime's execution providers, with their options, in the place of `device`.

    max_tokens_per_batch : int, default=None
        Most tokens that the model reads at a time, padding included. None: what suits the device; a model whose int8
        activations are scaled by the batch reads one text at a time, so that no text changes what becomes of another.

    cache_folder : path, default=None
        Folder that keeps what was made of each text, by the content of text, model and tokenizer, for the next time.

    n_jobs : int, default=None
        Threads of the model on the CPU. ``None`` is 1 unless in a `joblib.parallel_config` context, -1 all of them.

    verbose : bool, default=False
        Whether to print how far it is.

    Attributes
    ----------
    device_ : str
        Where the model runs: "cpu", "cuda:0", …

    See Also
    --------
    OnnxTextEncoder : One vector a text.
    sklrank.data.TokenVectors : What `transform` returns.

    Notes
    -----
    Parameters that need a new `fit`: none. All take effect at once.

    Examples
    --------
    >>> from sklrank.encoders import OnnxTokenEncoder
    >>> queries = OnnxTokenEncoder("model.onnx", role="query", query_length=8)
    >>> queries.transform(["heat transfer", "laminar flow over a plate"])
    <TokenVectors: 2 texts, 16 tokens, 8 features>
    >>> OnnxTokenEncoder("model.onnx").transform(["Heat, and flow."])
    <TokenVectors: 1 texts, 5 tokens, 8 features>
    """

    _parameter_constraints: dict = {
        **OnnxEncoder._parameter_constraints,
        "role": [StrOptions({"document", "query"})],
        "marker": [str, None],
        "query_length": [Interval(Integral, 1, None, closed="left"), None],
        "attend_to_expansion": ["boolean"],
        "skip_punctuation": ["boolean"],
        "special_tokens": ["boolean"],
        "normalize": ["boolean"],
    }

    def __init__(
        self,
        model,
        *,
        role="document",
        tokenizer=None,
        prefix="",
        marker=None,
        query_length=32,
        attend_to_expansion=False,
        skip_punctuation=True,
        special_tokens=True,
        normalize=True,
        max_length=512,
        output=None,
        device="auto",
        providers=None,
        max_tokens_per_batch=None,
        cache_folder=None,
        n_jobs=None,
        verbose=False,
    ):
        self.model = model
        self.role = role
        self.tokenizer = tokenizer
        self.prefix = prefix
        self.marker = marker
        self.query_length = query_length
        self.attend_to_expansion = attend_to_expansion
        self.skip_punctuation = skip_punctuation
        self.special_tokens = special_tokens
        self.normalize = normalize
        self.max_length = max_length
        self.output = output
        self.device = device
        self.providers = providers
        self.max_tokens_per_batch = max_tokens_per_batch
        self.cache_folder = cache_folder
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def _settings_of(cls, source, parameters):
        role = parameters.get("role", "document")
        late = source.settings("config_sentence_transformers.json")  # PyLate's
        if "query_length" in late:
            return {
                "marker": late.get(f"{role}_prefix") or None,
                "query_length": late["query_length"] if late.get("do_query_expansion", True) else None,
                "attend_to_expansion": bool(late.get("attend_to_expansion_tokens")),
                "skip_punctuation": _skips_punctuation(source, late, parameters),
                "max_length": late["query_length" if role == "query" else "document_length"],
            }
        colbert = source.settings("artifact.metadata")  # ColBERT's own
        if "query_maxlen" in colbert:
            return {
                "marker": colbert.get("query_token_id" if role == "query" else "doc_token_id"),
                "query_length": colbert["query_maxlen"],
                "attend_to_expansion": bool(colbert.get("attend_to_mask_tokens")),
                "skip_punctuation": bool(colbert.get("mask_punctuation", True)),
                "max_length": colbert["query_maxlen" if role == "query" else "doc_maxlen"],
            }
        return {}

    def _check_width(self, source):
        dense = [folder for kind, folder in source.modules() if kind == "Dense"]
        config = source.settings(f"{dense[-1]}/config.json") if dense else source.settings("artifact.metadata")
        width = config.get("out_features" if dense else "dim", "unknown" if dense else None)
        if self.output is None and width is not None and self.fit()._n_features_out != width:
            raise ValueError(
                f"{source.name} makes vectors by a dense layer, of {width} dimensions, and {source.file} gives "
                f"{self._n_features_out}: the layer may not be in this ONNX file. Name another file=, or, to take the "
                "vectors as they are, the output="
            )

    def _set_outputs(self, model):
        self._output, value = self._chosen_output(model, (3,))
        self._check_vectors(model, value)
        self._n_features_out = value.shape[-1]
        tokens = model.tokenizer
        if tokens.n_tokens is None:
            needs = {
                "marker=": self.marker is not None,
                "special_tokens=False": not self.special_tokens,
                "query_length=": self.role == "query" and self.query_length is not None,
                "skip_punctuation=True": self.role == "document" and self.skip_punctuation,
            }
            for parameter in (name for name, needed in needs.items() if needed):
                raise ValueError(f"{parameter} needs a tokenizers.Tokenizer; the tokens of a function are not known")
        self._template, self._mask, self._skipped = tokens.single, None, np.empty(0, dtype=np.int64)
        if self.marker is not None:
            first, last = self._template.parts
            marker = np.array([_token_id(tokens, (self.marker, self.marker.strip()), "for marker=")])
            self._template = Template((np.concatenate([first, marker]), last), self._template.types)
        if self.role == "query" and self.query_length is not None:
            self._mask = _token_id(tokens, _MASKS, "to expand queries, which query_length=None does not,")
        if self.role == "document" and self.skip_punctuation:
            found = map(tokens.token_id, string.punctuation)
            self._skipped = np.array([i for i in found if i is not None], dtype=np.int64)

    def _make_rows(self, texts):
        model, template = self._model, self._template
        by_us = self.role == "query" and model.tokenizer.n_tokens is not None  # a function cuts queries itself
        longest = model.max_length + by_us  # one more tells that there was more

        def make(indices):
            given = [self.prefix + texts[i] for i in indices]
            rows = model.tokenizer.rows(given, longest, template)
            long = [text for text, ids in zip(given, rows.ids) if len(ids) > model.max_length]
            if long:
                warnings.warn(
                    f"queries of more than max_length={model.max_length} tokens were cut, such as {long[0][:40]!r}…",
                    UserWarning,
                    stacklevel=2,
                )
                rows = model.tokenizer.rows(given, model.max_length, template)
            return rows if self._mask is None else self._expanded(rows, min(self.query_length, model.max_length))

        return make

    def _expanded(self, rows, length):
        missing = [max(length - len(ids), 0) for ids in rows.ids]
        ids = [np.append(row, np.full(n, self._mask)) for row, n in zip(rows.ids, missing)]
        types = rows.types and [np.append(row, np.zeros(n, dtype=np.int64)) for row, n in zip(rows.types, missing)]
        return Rows(ids, types, list(map(len, ids)) if self.attend_to_expansion else rows.attended)

    def _encode(self, texts, report):
        matrices = [None] * len(texts)
        for batch in self._batches(texts, report):
            check_finite([output[:n] for output, n in zip(batch.outputs[0], map(len, batch.ids))], batch, texts)
            for i, (index, ids, attended) in enumerate(zip(batch.indices, batch.ids, batch.attended)):
                vectors = batch.outputs[0][i, : len(ids)][self._kept(ids, attended)]
                matrices[index] = prepare(vectors, None, unit=self.normalize)
        return self._joined(matrices)

    def _kept(self, ids, attended):
        """Which tokens of a text have a vector in the end."""
        kept = ~np.isin(ids, self._skipped)
        if not self.special_tokens:
            first, last = map(len, self._template.parts)
            kept[:first] = False
            kept[attended - last : attended] = False
        return kept

    def tokens(self, X):
        """The tokens that the vectors of `transform` stand for.

        Parameters
        ----------
        X : iterable of str, dict, Corpus or Queries
            The texts; of a dict its values.

        Returns
        -------
        list of list of str
            One list a text, one token a vector.
        """
        texts = as_texts(X)
        tokenizer = self._opened().tokenizer
        if tokenizer.n_tokens is None:
            raise ValueError("the tokenizer is a function, whose tokens have no names")
        names = tokenizer.tokens()
        rows = self._make_rows(texts)(range(len(texts)))
        return [[names[i] for i in ids[self._kept(ids, n)].tolist()] for ids, n in zip(rows.ids, rows.attended)]

    def _joined(self, matrices):
        indptr = lengths_to_indptr(list(map(len, matrices)))
        return TokenVectors(np.concatenate([np.empty((0, self._n_features_out), dtype=np.float32), *matrices]), indptr)

    def _packed(self, encoded):
        return [matrix.tobytes() for matrix in encoded]

    def _unpacked(self, values):
        width = self._n_features_out
        return self._joined([np.frombuffer(value, dtype=np.float32).reshape(-1, width) for value in values])


def _skips_punctuation(source, settings, parameters):
    """Whether the words that a repository of PyLate leaves out of documents are punctuation, or none."""
    words = settings.get("skiplist_words")
    words = set(string.punctuation if words is None else words)
    decides = parameters.get("role", "document") == "document" and "skip_punctuation" not in parameters
    if decides and words not in (set(), set(string.punctuation)):
        raise ValueError(
            f"{source.name} leaves {sorted(words)[:40]} out of documents (skiplist_words); here it is all punctuation "
            "or nothing: say skip_punctuation=True or False"
        )
    return bool(words)


def _token_id(tokenizer, tokens, what):
    for token in tokens:
        if (found := tokenizer.token_id(token)) is not None:
            return found
    raise ValueError(f"{what} the tokenizer needs a token {' or '.join(tokens)}, and has none")
