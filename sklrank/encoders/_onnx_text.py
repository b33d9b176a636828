"""Dense vectors of texts by an ONNX model."""

from numbers import Integral

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from sklrank._validation import Interval, StrOptions
from sklrank._vectors import prepare
from sklrank.encoders._onnx import OnnxEncoder, check_finite


class OnnxTextEncoder(ClassNamePrefixFeaturesOutMixin, OnnxEncoder):
    """Encode texts as dense vectors, by an ONNX model.

    It runs sentence encoders without torch. Texts are tokenized, ONNX Runtime reads them in batches of similar length,
    and the vectors of the tokens of a text are pooled into one vector.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        ONNX model. It is a file, the content of a file, or an open session. Its inputs are ``input_ids`` and, if it has
        them, ``attention_mask``, ``token_type_ids`` and ``position_ids``.

    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer of the model. It is an object, a ``tokenizer.json`` or its content, or a function from a list of texts
        to one sequence of token ids per text, special tokens included. If None, the ``tokenizer.json`` beside the model
        is used, or the one in the folder above. Padding and truncation that the tokenizer enables are ignored.

    pooling : {"auto", "mean", "cls", "last"}, default="auto"
        Method that combines the vectors of the tokens: their mean, the first, or the last. "auto" is the mean. If the
        model returns pooled vectors instead of token vectors, "auto" uses these.

    normalize : bool, default=True
        Whether to scale vectors to unit length. Dot products are then cosines.

    prefix : str, default=""
        Text put before each input. Some models are trained with one, such as "query: " or "passage: ".

    truncate_dim : int, default=None
        Number of leading dimensions to keep. The others are cut off before normalizing. This suits models that were
        trained for it ("matryoshka").

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
    OnnxSparseEncoder : Encode texts as sparse weights of terms.
    OnnxTokenEncoder : Encode texts as one vector per token.

    Notes
    -----
    `fit` opens the model and learns nothing. `transform` also opens the model if the encoder is not fitted or its
    parameters were changed. A pickle has the path or the bytes of the model, which is opened again after unpickling.
    In a process, encoders of the same model on the same device share one session; the last two sessions stay open.

    No parameter needs a new `fit`. All take effect at once.

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
                f"the pipeline of {source.name} is {' -> '.join(kinds)}, and its ONNX file may lack "
                f"{', '.join(sorted(unknown))}. If an output of the file includes all steps, name it by output="
            )
        settings = {}
        if kinds:
            settings["normalize"] = "Normalize" in kinds
        if "output" not in parameters and "pooling" not in parameters:
            pooling = source.pooling(parameters["prefix"])
            if pooling is not None:
                settings["pooling"] = pooling
        return settings

    def _set_outputs(self, model):
        ranks, pooling = (3,), self.pooling
        if pooling == "auto":
            ranks, pooling = (3, 2), "mean"
        self._output, value = self._chosen_output(model, ranks)
        self._pooled = _POOLINGS[pooling]
        if value.ndim == 2:
            self._pooled = _unchanged
        self._check_vectors(model, value)
        width = value.shape[-1]
        if self.truncate_dim is not None and self.truncate_dim > width:
            raise ValueError(
                f"expected truncate_dim= of at most {width}, the dimensions of the model's vectors, got "
                f"{self.truncate_dim}"
            )
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


def _unchanged(vectors, lengths):
    return vectors


_POOLINGS = {"mean": _mean, "cls": _first, "last": _last}
