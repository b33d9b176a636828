"""Texts to sparse weights of terms."""

import numpy as np
from scipy import sparse

from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.encoders._onnx import OnnxEncoder, check_finite


class OnnxSparseEncoder(OnnxEncoder, auto_wrap_output_keys=None):
    """Encode texts as sparse weights of terms, by an ONNX model such as SPLADE.

    The model says for each token which terms of its vocabulary it stands for. A term's weight is the maximum over the
    tokens of :math:`\\log(1 + \\max(0, x))`. Like counts of words, the weights are searched by an inverted index;
    unlike them, they hold words that the text does not.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        The ONNX model: a file, its content, or one that is open. It takes ``input_ids`` and, where it has them,
        ``attention_mask``, ``token_type_ids`` and ``position_ids``.
        Its output are logits of shape (batch, tokens, terms), or weights of shape (batch, terms), which are taken as
        they are.

    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The tokenizer of the model: an object, a ``tokenizer.json`` or its content, or a function from a list of texts
        to one sequence of token ids each, special tokens included. None takes the ``tokenizer.json`` beside the model,
        or in the folder above. Padding and truncation that are switched on inside are ignored.

    prefix : str, default=""
        What is put before each text, where the model was trained so: "query: ", "passage: ".

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
    OnnxTextEncoder : A dense vector.
    sklrank.encoders.TermVectorizer : Counts of the words that a text holds.

    Notes
    -----
    Parameters that need a new `fit`: none. All take effect at once.

    Examples
    --------
    >>> from sklrank.encoders import OnnxSparseEncoder
    >>> encoder = OnnxSparseEncoder("splade.onnx", tokenizer="tokenizer.json")
    >>> weights = encoder.transform(["heat transfer", "laminar flow"])
    >>> weights.shape, weights.nnz
    ((2, 92), 3)
    >>> terms = encoder.get_feature_names_out()
    >>> terms[weights[[0]].indices]
    array(['heat'], dtype=object)
    """

    def __init__(
        self,
        model,
        *,
        tokenizer=None,
        prefix="",
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
        self.tokenizer = tokenizer
        self.prefix = prefix
        self.max_length = max_length
        self.output = output
        self.device = device
        self.providers = providers
        self.max_tokens_per_batch = max_tokens_per_batch
        self.cache_folder = cache_folder
        self.n_jobs = n_jobs
        self.verbose = verbose

    def get_feature_names_out(self, input_features=None):
        """Return the term of each column.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored.

        Returns
        -------
        terms : ndarray of str objects, shape (n_terms,)
            The tokens of the tokenizer; columns beyond them are "term123" and so on.
        """
        tokenizer = self._opened().tokenizer
        tokens = [] if tokenizer.n_tokens is None else tokenizer.tokens()[: self._n_features_out]
        tokens += [f"term{i}" for i in range(len(tokens), self._n_features_out)]
        return np.array(tokens, dtype=object)

    def _set_outputs(self, model):
        self._output, value = self._chosen_output(model, (3, 2))
        self._n_features_out = value.shape[-1]
        n_terms = getattr(model.tokenizer, "n_own", 0)
        if n_terms > self._n_features_out:
            raise ValueError(
                f"weights of terms have a column for each of the tokenizer's {n_terms} tokens; {self._output} has "
                f"{self._n_features_out}. {model.open.signature()}"
            )

    def _encode(self, texts, report):
        rows = [None] * len(texts)
        for batch in self._batches(texts, report):
            weights = list(map(self._weights, batch.outputs[0], batch.attended))
            check_finite(weights, batch, texts)
            for index, weight in zip(batch.indices, weights):
                terms = np.flatnonzero(weight > 0).astype(np.int32)
                rows[index] = terms, weight[terms]
        return self._joined(rows)

    def _weights(self, output, length):
        """Weights of all terms, of one text."""
        return output if output.ndim == 1 else np.log1p(np.maximum(output[:length].max(axis=0), 0))

    def _joined(self, rows):
        indptr = lengths_to_indptr([len(terms) for terms, _ in rows])
        terms = np.concatenate([np.empty(0, dtype=np.int32), *(terms for terms, _ in rows)])
        weights = np.concatenate([np.empty(0, dtype=np.float32), *(weights for _, weights in rows)])
        return sparse.csr_array((weights, terms, indptr), shape=(len(rows), self._n_features_out))

    def _packed(self, encoded):
        return [
            encoded.indices[start:stop].astype(np.int32).tobytes() + encoded.data[start:stop].tobytes()
            for start, stop in intervals(encoded.indptr)
        ]

    def _unpacked(self, values):
        rows = []
        for value in values:
            half = len(value) // 2
            rows.append((np.frombuffer(value[:half], dtype=np.int32), np.frombuffer(value[half:], dtype=np.float32)))
        return self._joined(rows)
