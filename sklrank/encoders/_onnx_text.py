"""Texts to dense vectors."""

from numbers import Integral

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from sklrank._validation import Interval, StrOptions
from sklrank._vectors import prepare
from sklrank.encoders._onnx import OnnxEncoder, check_finite


class OnnxTextEncoder(ClassNamePrefixFeaturesOutMixin, OnnxEncoder):
    """Encode texts as dense vectors, by an ONNX model.

    A sentence encoder without torch: texts are tokenized and read in batches of like length by ONNX Runtime, and the
    vectors of a text's tokens are pooled into one.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        The ONNX model: a file, its content, or one that is open. It takes ``input_ids`` and, where it has them,
        ``attention_mask``, ``token_type_ids`` and ``position_ids``.

    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The tokenizer of the model: an object, a ``tokenizer.json`` or its content, or a function from a list of texts
        to one sequence of token ids each, special tokens included. None takes the ``tokenizer.json`` beside the model,
        or in the folder above. Padding and truncation that are switched on inside are ignored.

    pooling : {"auto", "mean", "cls", "last"}, default="auto"
        How the vectors of the tokens become one: their mean, the first, or the last. "auto" is the mean; of a model
        that gives no vectors of tokens, it is the vector that the model pools itself.

    normalize : bool, default=True
        Whether vectors are divided by their length, so that dot products are cosines.

    prefix : str, default=""
        What is put before each text, where the model was trained so: "query: ", "passage: ".

    truncate_dim : int, default=None
        Keep the first so many dimensions, of a model that was trained for it ("matryoshka"), before normalizing.

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
    OnnxSparseEncoder : Weights of terms in place of a vector.
    OnnxTokenEncoder : One vector a token.

    Notes
    -----
    `fit` opens the model and learns nothing, and `transform` of an encoder that is not fitted, or whose parameters were
    changed, does so, too. A pickle holds the path or the bytes of the model, which is opened anew on the other side.
    Within a process, encoders of the same model on the same device share one session; the last two stay open.

    Parameters that need a new `fit`: none. All take effect at once.

    Examples
    --------
    >>> from sklrank.encoders import OnnxTextEncoder
    >>> encoder = OnnxTextEncoder("model.onnx", tokenizer="tokenizer.json")
    >>> vectors = encoder.transform(["heat transfer", "transfer of heat", "laminar flow"])
    >>> vectors.shape, encoder.device_
    ((3, 8), 'cpu')
    >>> (vectors @ vectors.T).round(1)
    array([[ 1. ,  0.8, -0.2],
           [ 0.8,  1. , -0.4],
           [-0.2, -0.4,  1. ]], dtype=float32)
    """

    _parameter_constraints: dict = {
        **OnnxEncoder._parameter_constraints,
        "pooling": [StrOptions({"auto", "mean", "cls", "last"})],
        "normalize": ["boolean"],
        "truncate_dim": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        model,
        *,
        tokenizer=None,
        pooling="auto",
        normalize=True,
        prefix="",
        truncate_dim=None,
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
        self.pooling = pooling
        self.normalize = normalize
        self.prefix = prefix
        self.truncate_dim = truncate_dim
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
        kinds = [kind for kind, _ in source.modules()]
        unknown = set(kinds) - {"Transformer", "Pooling", "Normalize"}
        if unknown and not parameters.get("output"):
            raise ValueError(
                f"the pipeline of {source.name} is {' -> '.join(kinds)}, and {', '.join(sorted(unknown))} may not be "
                "in its ONNX file. If the file has an output that is complete, name it by output="
            )
        settings = {"normalize": "Normalize" in kinds} if kinds else {}
        given = {"output", "pooling"} & set(parameters)
        pooling = None if given else source.pooling(parameters["prefix"])
        return {**settings, "pooling": pooling} if pooling else settings

    def _set_outputs(self, model):
        self._output, value = self._chosen_output(model, (3, 2) if self.pooling == "auto" else (3,))
        self._pooled = _POOLINGS["mean" if self.pooling == "auto" else self.pooling] if value.ndim == 3 else _as_it_is
        self._check_vectors(model, value)
        width = value.shape[-1]
        if self.truncate_dim is not None and self.truncate_dim > width:
            raise ValueError(f"truncate_dim={self.truncate_dim}, and the model's vectors have {width} dimensions")
        self._n_features_out = self.truncate_dim or width

    def _encode(self, texts, report):
        vectors = np.empty((len(texts), self._n_features_out), dtype=np.float32)
        for batch in self._batches(texts, report):
            pooled = self._pooled(batch.outputs[0], batch.attended)[:, : self._n_features_out]
            check_finite(pooled, batch, texts)
            vectors[batch.indices] = pooled
        return prepare(vectors, None, unit=self.normalize)

    def _packed(self, encoded):
        return [row.tobytes() for row in encoded]

    def _unpacked(self, values):
        return np.frombuffer(b"".join(values), dtype=np.float32).reshape(-1, self._n_features_out).copy()


def _mean(hidden, lengths):
    pooled = np.empty((len(hidden), hidden.shape[2]), dtype=np.float32)
    for i, length in enumerate(lengths):
        hidden[i, :length].mean(axis=0, out=pooled[i])
    return pooled


def _first(hidden, lengths):
    return hidden[:, 0]


def _last(hidden, lengths):
    return hidden[np.arange(len(hidden)), np.array(lengths) - 1]


def _as_it_is(vectors, lengths):
    return vectors


_POOLINGS = {"mean": _mean, "cls": _first, "last": _last}
