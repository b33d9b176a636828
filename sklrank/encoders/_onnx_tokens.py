"""Token vectors of texts by an ONNX model."""

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
    """Encode texts as one vector per token, by an ONNX model, for late interaction.

    ColBERT and similar models compare queries and documents by MaxSim: each text is a matrix of token vectors. Queries
    are *expanded*: mask tokens fill them up to `query_length`, and the vectors of these stand for terms that the query
    might have had. Punctuation of documents is left out. Queries and documents therefore need two encoders, one for
    each `role`, with the same model.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        ONNX model. It is a file, the content of a file, or an open session. Its inputs are ``input_ids`` and, if it has
        them, ``attention_mask``, ``token_type_ids`` and ``position_ids``.

    role : {"document", "query"}, default="document"
        Role of the texts.

    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer of the model. It is an object, a ``tokenizer.json`` or its content, or a function from a list of texts
        to one sequence of token ids per text, special tokens included. If None, the ``tokenizer.json`` beside the model
        is used, or the one in the folder above. Padding and truncation that the tokenizer enables are ignored.

    prefix : str, default=""
        Text put before each input. Some models are trained with one, such as "query: " or "passage: ".

    marker : str, default=None
        Token that tells the model the role. It follows the first special token. ColBERT uses "[unused0]" for queries
        and "[unused1]" for documents.

    query_length : int, default=32
        Number of tokens, special tokens included, up to which mask tokens fill a query. Longer queries are not
        shortened, except that those of more than `max_length` tokens are cut with a warning. If None, queries are not
        expanded.

    attend_to_expansion : bool, default=False
        Whether the tokens of the query attend to the mask tokens.

    skip_punctuation : bool, default=True
        Whether to leave out the vectors of punctuation in documents. The model still reads it.

    special_tokens : bool, default=True
        Whether to keep the vectors of special tokens. ColBERT keeps them. If a model was not trained for MaxSim, it is
        better to leave them out.

    normalize : bool, default=True
        Whether to scale vectors to unit length.

    max_length : int, default=512
        Maximum number of tokens per input, special tokens included. The rest of a longer text is cut off.

    output : str, default=None
        Name of the model output to use. If None, the first output with the required dimensions is used.

    device : str, default="auto"
        Device that runs the model. It is "cpu", "cuda", "cuda:1", or "auto", which is CUDA if CUDA starts, and else the
        CPU.

    providers : list, default=None
        Execution providers of ONNX Runtime, with their options, instead of `device`.

    max_tokens_per_batch : int, default=None
        Maximum number of tokens per batch, padding included. If None, the number depends on the device. A model whose
        int8 activations are scaled by the batch then reads one text at a time, so that the result of a text does not
        depend on the others.

    cache_folder : path, default=None
        Folder that keeps results between processes. The result of a text is found by the content of text, model and
        tokenizer.

    n_jobs : int, default=None
        Number of threads. They run the model on the CPU. ``None`` means 1 unless in a `joblib.parallel_config` context,
        and -1 means all processors. The result does not depend on it.

    verbose : bool, default=False
        Whether to print progress.

    Attributes
    ----------
    device_ : str
        Device that runs the model: "cpu", "cuda:0", …

    See Also
    --------
    OnnxTextEncoder : Encode texts as one vector per text.
    sklrank.data.TokenVectors : Token vectors of texts, the result of `transform`.

    Notes
    -----
    No parameter needs a new `fit`. All take effect at once.

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
        role = "document"
        if parameters.get("role") == "query":
            role = "query"
        pylate = source.settings("config_sentence_transformers.json")
        if "query_length" in pylate:
            settings = {
                "marker": pylate.get(f"{role}_prefix") or None,
                "query_length": pylate["query_length"],
                "attend_to_expansion": bool(pylate.get("attend_to_expansion_tokens")),
                "skip_punctuation": _skips_punctuation(source, pylate, parameters),
                "max_length": pylate[f"{role}_length"],
            }
            if not pylate.get("do_query_expansion", True):
                settings["query_length"] = None
            return settings
        colbert = source.settings("artifact.metadata")
        if "query_maxlen" in colbert:
            prefix = {"query": "query", "document": "doc"}[role]
            return {
                "marker": colbert.get(f"{prefix}_token_id"),
                "query_length": colbert["query_maxlen"],
                "attend_to_expansion": bool(colbert.get("attend_to_mask_tokens")),
                "skip_punctuation": bool(colbert.get("mask_punctuation", True)),
                "max_length": colbert[f"{prefix}_maxlen"],
            }
        return {}

    def _check_width(self, source):
        width = source.settings("artifact.metadata").get("dim")
        dense = [folder for kind, folder in source.modules() if kind == "Dense"]
        if dense:
            width = source.settings(f"{dense[-1]}/config.json").get("out_features", "unknown")
        if self.output is None and width is not None and self.fit()._n_features_out != width:
            raise ValueError(
                f"{source.name} makes vectors of {width} dimensions by a dense layer, and {source.file} returns "
                f"{self._n_features_out}: this ONNX file may lack the layer. Name another file=, or, to use its "
                "vectors, the output="
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
                raise ValueError(
                    f"{parameter} needs a tokenizers.Tokenizer, got a function, whose tokens are not known"
                )
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
        longest = model.max_length
        if self.role == "query" and model.tokenizer.n_tokens is not None:  # a function cuts queries itself
            longest += 1  # a row of this length was longer than max_length

        def make(indices):
            prefixed = [self.prefix + texts[i] for i in indices]
            rows = model.tokenizer.rows(prefixed, longest, template)
            long = [text for text, ids in zip(prefixed, rows.ids) if len(ids) > model.max_length]
            if long:
                warnings.warn(
                    f"queries of more than max_length={model.max_length} tokens were cut, such as {long[0][:40]!r}…",
                    UserWarning,
                    stacklevel=2,
                )
                rows = model.tokenizer.rows(prefixed, model.max_length, template)
            if self._mask is not None:
                rows = self._expanded(rows, min(self.query_length, model.max_length))
            return rows

        return make

    def _expanded(self, rows, length):
        missing = [max(length - len(ids), 0) for ids in rows.ids]
        ids = [np.append(row, np.full(n, self._mask)) for row, n in zip(rows.ids, missing)]
        types = rows.types and [np.append(row, np.zeros(n, dtype=np.int64)) for row, n in zip(rows.types, missing)]
        attended = rows.attended
        if self.attend_to_expansion:
            attended = list(map(len, ids))
        return Rows(ids, types, attended)

    def _encode(self, texts, report):
        matrices = [None] * len(texts)
        for batch in self._batches(texts, report):
            check_finite([output[:n] for output, n in zip(batch.outputs[0], map(len, batch.ids))], batch, texts)
            for i, (index, ids, attended) in enumerate(zip(batch.indices, batch.ids, batch.attended)):
                vectors = batch.outputs[0][i, : len(ids)][self._kept(ids, attended)]
                matrices[index] = prepare(vectors, None, unit=self.normalize)
        return self._joined(matrices)

    def _kept(self, ids, attended):
        """Return whether each token of a text has a vector in the result."""
        kept = ~np.isin(ids, self._skipped)
        if not self.special_tokens:
            first, last = map(len, self._template.parts)
            kept[:first] = False
            kept[attended - last : attended] = False
        return kept

    def tokens(self, X):
        """Return the tokens of the vectors that `transform` returns.

        Parameters
        ----------
        X : iterable of str, dict, Corpus or Queries
            The texts. The texts of a dict are its values.

        Returns
        -------
        tokens : list of list of str
            One list per text, with one token per vector.
        """
        texts = as_texts(X)
        tokenizer = self._opened().tokenizer
        if tokenizer.n_tokens is None:
            raise ValueError("expected a tokenizers.Tokenizer, got a function, whose tokens have no names")
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
    """Return whether a repository of PyLate leaves punctuation out of documents."""
    punctuation, words = set(string.punctuation), settings.get("skiplist_words")
    if words is None:
        return True
    words = set(words)
    decides = parameters.get("role", "document") == "document" and "skip_punctuation" not in parameters
    if decides and words not in (set(), punctuation):
        raise ValueError(
            f"{source.name} leaves {sorted(words)[:40]} out of documents (skiplist_words). OnnxTokenEncoder can leave "
            "out all punctuation or nothing: choose skip_punctuation=True or False"
        )
    return bool(words)


def _token_id(tokenizer, tokens, what):
    for token in tokens:
        if (found := tokenizer.token_id(token)) is not None:
            return found
    raise ValueError(f"{what} the tokenizer needs a token {' or '.join(tokens)}, which it lacks")
