"""Sparse term weights of texts by an ONNX model."""

import numpy as np
from scipy import sparse

from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.encoders._onnx import OnnxEncoder, check_finite


class OnnxSparseEncoder(OnnxEncoder, auto_wrap_output_keys=None):
    """Encode texts as sparse weights of terms, by an ONNX model such as SPLADE.

    The model returns a logit :math:`x` for each token and each term of its vocabulary. The weight of a term is the
    maximum over the tokens of :math:`\\log(1 + \\max(0, x))`. An inverted index searches the weights, as it searches
    counts of words. Unlike these, weights may include terms that do not occur in the text.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        ONNX model. It is a file, the content of a file, or an open session. Its inputs are ``input_ids`` and, if it has
        them, ``attention_mask``, ``token_type_ids`` and ``position_ids``.
        Its output has logits of shape (batch, tokens, terms), or weights of shape (batch, terms), which are used
        without a change.

    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer of the model. It is an object, a ``tokenizer.json`` or its content, or a function from a list of texts
        to one sequence of token ids per text, special tokens included. If None, the ``tokenizer.json`` beside the model
        is used, or the one in the folder above. Padding and truncation that the tokenizer enables are ignored.

    prefix : str, default=""
        Text put before each input. Some models are trained with one, such as "query: " or "passage: ".

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
    OnnxTextEncoder : Encode texts as dense vectors.
    sklrank.encoders.TermVectorizer : Count the words of texts.

    Notes
    -----
    No parameter needs a new `fit`. All take effect at once.

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
            The tokens of the tokenizer. Columns without a token have names such as "term123".
        """
        tokens, tokenizer = [], self._opened().tokenizer
        if tokenizer.n_tokens is not None:
            tokens = tokenizer.tokens()[: self._n_features_out]
        tokens += [f"term{i}" for i in range(len(tokens), self._n_features_out)]
        return np.array(tokens, dtype=object)

    def _set_outputs(self, model):
        self._output, value = self._chosen_output(model, (3, 2))
        self._n_features_out = value.shape[-1]
        n_terms = getattr(model.tokenizer, "n_own", 0)
        if n_terms > self._n_features_out:
            raise ValueError(
                f"expected weights of terms with a column for each of the tokenizer's {n_terms} tokens, got "
                f"{self._output} with {self._n_features_out}. {model.open.signature()}"
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
        """Return the weights of all terms for one text."""
        if output.ndim == 1:
            return output
        return np.log1p(np.maximum(output[:length].max(axis=0), 0))

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
