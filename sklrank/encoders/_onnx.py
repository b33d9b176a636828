"""What encoders over ONNX models have in common."""

import threading
from collections.abc import Mapping
from copy import copy
from numbers import Integral
from os import PathLike

import joblib
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone

from sklrank._caching.keys import bytes_key, path_stamp
from sklrank._fitted import ParameterRecord
from sklrank._progress import CallbackSupportMixin, progress, with_callbacks
from sklrank._session import (
    PrintedBytes,
    PrintedBytesMixin,
    Repository,
    Source,
    TextModel,
    picklable,
    tokenizer_beside,
    unwrapped,
)
from sklrank._validation import HasMethods, Hidden, Interval
from sklrank.data import Corpus, Queries, StringArray
from sklrank.encoders._onnx_store import Store

_OPENING = threading.Lock()
_BLOCK = 1024  # texts that an interrupted run with a cache_folder loses at most
_RUNTIME = {"device": "auto", "providers": None, "cache_folder": None, "n_jobs": None, "verbose": False}
_NOT_HASHED = {"model", "tokenizer", *_RUNTIME}  # the content of the first two is hashed instead


class OnnxEncoder(PrintedBytesMixin, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Base of encoders: estimators that open an ONNX model and turn texts into what it makes of them.

    A subclass has the parameters below, and

    * ``_set_outputs(model)``, which chooses among the outputs of the model;
    * ``_encode(texts, report)``, which runs it;
    * ``_packed(encoded)`` and ``_unpacked(values)``, one bytes a text, for the cache.
    """

    _parameter_constraints: dict = {
        "model": [str, PathLike, bytes, Hidden(PrintedBytes), HasMethods(["run", "get_inputs"])],
        "tokenizer": [
            str,
            PathLike,
            bytes,
            Hidden(PrintedBytes),
            HasMethods(["encode_batch", "to_str"]),
            callable,
            None,
        ],  # fmt: skip
        "prefix": [str],
        "max_length": [Interval(Integral, 1, None, closed="left")],
        "output": [str, None],
        "device": [str],
        "providers": [list, tuple, None],
        "max_tokens_per_batch": [Interval(Integral, 1, None, closed="left"), None],
        "cache_folder": [str, PathLike, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    @classmethod
    def from_hub(cls, repository, *, file="onnx/model.onnx", revision=None, prompt=None, **parameters):
        """Make an encoder of a model on the Hugging Face hub, as the repository says it is to be used.

        Tokenizer, pooling, normalization, marker tokens and maximum length come from the repository's own files. What
        was downloaded stays in the hub's cache and is found there without a network; the estimator keeps the commit.

        Parameters
        ----------
        repository : str
            "organization/name", or a folder that is laid out like a repository.
        file : str, default="onnx/model.onnx"
            Path of the ONNX model within.
        revision : str, default=None
            Branch, tag or commit. None is what the main branch is now; the commit makes a program repeatable.
        prompt : str, default=None
            Name of the prompt, among those of the repository, that becomes `prefix`: often "query" or "document". None
            is the one that the repository takes by default, if any.
        **parameters : dict
            Parameters of the encoder, in the place of what the repository says.

        Returns
        -------
        encoder : estimator
            The encoder.
        """
        if prompt is not None and "prefix" in parameters:
            raise ValueError(f"prompt={prompt!r} and prefix={parameters['prefix']!r} were both given; give one of them")
        source = Repository.fetch(repository, file, revision)
        if "prefix" not in parameters:
            parameters = {"prefix": source.prompt(prompt), **parameters}
        if "tokenizer" not in parameters:
            parameters = {"tokenizer": source.lowercasing_tokenizer(), **parameters}
        settings = cls._settings_of(source, parameters)
        if (max_length := source.max_length()) is not None:
            settings.setdefault("max_length", max_length)
        encoder = cls(**{"model": source.path(file), **settings, **parameters})
        encoder._check_width(source)
        return encoder

    @classmethod
    def _settings_of(cls, source, parameters):
        """Parameters that a repository states for this kind of encoder."""
        return {}

    def _check_width(self, source):
        """Raise ValueError where the ONNX file lacks the last layer that the repository states."""

    def fit(self, X=None, y=None):
        """Open the model; the texts teach it nothing.

        Parameters
        ----------
        X : Ignored
            There by convention.
        y : Ignored
            There by convention.

        Returns
        -------
        self : estimator
            The encoder, its model open.
        """
        self._validate_params()
        opened_with = ParameterRecord(self, tuple(self.get_params(deep=False)))
        vars(self).pop("_opened_with", None)
        model = TextModel(
            self.model,
            self.tokenizer,
            device=self.device,
            providers=self.providers,
            n_jobs=self.n_jobs,
            max_length=self.max_length,
        )
        self._set_outputs(model)
        self.device_ = model.device
        self._model = model
        self._opened_with = opened_with  # last: a thread that finds it finds the rest
        return self

    @with_callbacks
    def transform(self, X):
        """Encode texts.

        Parameters
        ----------
        X : iterable of str, dict, Corpus or Queries
            The texts; of a dict its values.

        Returns
        -------
        encoded : ndarray, csr_array or TokenVectors
            One row, or one matrix, a text.
        """
        texts = as_texts(X)
        self._opened()
        store = self._store()
        if store is None:
            with progress(self, "encoded", len(texts), verbose=self.verbose) as report:
                return self._encode(texts, report)
        values = store.get(texts)
        missing = list(dict.fromkeys(text for text, value in zip(texts, values) if value is None))
        made = {}
        with progress(self, "encoded", len(missing), verbose=self.verbose) as report:
            for start in range(0, len(missing), _BLOCK):
                block = missing[start : start + _BLOCK]
                packed = self._packed(self._encode(block, None))
                store.put(block, packed)
                made.update(zip(block, packed))
                if report is not None:
                    report(start + len(block))
        return self._unpacked([made[text] if value is None else value for text, value in zip(texts, values)])

    def _opened(self):
        """The open model; opened where `fit` was not called, after unpickling, and when parameters were changed."""
        if not self._is_open():
            with _OPENING:
                if not self._is_open():
                    self.fit()
        return self._model

    def _is_open(self):
        opened_with = vars(self).get("_opened_with")
        return opened_with is not None and opened_with.holds(vars(self))

    def has_same_content(self, name, old, new):
        """Return whether two values of `model` or `tokenizer` have the same content, for example at another path.

        If they have, a retriever that was fitted with the old value needs no new `fit`.

        Parameters
        ----------
        name : str
            Name of the parameter.
        old, new : object
            Its two values.

        Returns
        -------
        is_same : bool
            False for all other parameters, and for values that are not files or bytes.
        """
        if name not in ("model", "tokenizer"):
            return False
        try:
            return Source(old).fingerprint() == Source(new).fingerprint()
        except (OSError, TypeError, ValueError):  # not there, or not a file
            return False

    def without_runtime_parameters(self):
        """Return a copy that is equal for all encoders with equal results, for a key of these results.

        The parameters that decide only how the model runs (`device`, `providers`, `cache_folder`, `n_jobs` and
        `verbose`) have their defaults in the copy. If the model is given as bytes, a hash replaces it, so that the copy
        cannot encode.

        Returns
        -------
        encoder : estimator
            The copy.
        """
        model = unwrapped(self.model)
        if isinstance(model, bytes):
            model = bytes_key(model).encode()
        return clone(self).set_params(**_RUNTIME, model=model)

    def _store(self):
        """Where vectors are kept by content, None without a `cache_folder`."""
        if self.cache_folder is None:
            return None
        if not hasattr(self._model, "name"):
            tokenizer = self._model.tokenizer.fingerprint
            if tokenizer is None:
                raise ValueError("cache_folder= needs a tokenizer whose content is known, and a function's is not")
            settings = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_HASHED}
            self._model.name = joblib.hash((type(self).__name__, self._model.source.fingerprint(), tokenizer, settings))
        return Store(self.cache_folder, self._model.name)

    def _make_rows(self, texts):
        """Function from indices of texts to `Rows`."""
        model = self._model
        return lambda indices: model.tokenizer.rows([self.prefix + texts[i] for i in indices], model.max_length)

    def _batches(self, texts, report):
        return self._model.batches(
            list(map(len, texts)),
            self._make_rows(texts),
            [self._output],
            max_tokens=self.max_tokens_per_batch,
            report=report,
        )

    def _chosen_output(self, model, ranks):
        """Name of the output to take: `output`, or the first of the best rank.

        Parameters
        ----------
        model : TextModel
        ranks : tuple of int
            Ranks that fit, the best first.

        Returns
        -------
        name : str
        value : ndarray
            What the model makes of short texts there.
        """
        names = list(model.open.outputs)
        if self.output is not None and self.output not in names:
            raise ValueError(f"output={self.output!r} is none of the model's: {model.open.signature()}")
        names = names if self.output is None else [self.output]
        values = dict(zip(names, model.probe(names)))
        for rank in ranks:
            for name, value in values.items():
                if value.ndim == rank and value.dtype == np.float32:
                    return name, value
        found = ", ".join(f"{name} of shape {value.shape} and {value.dtype}" for name, value in values.items())
        raise ValueError(
            f"{type(self).__name__} needs an output of numbers in {' or '.join(map(str, ranks))} dimensions; of two "
            f"short texts the model makes {found}. {model.open.signature()}"
        )

    def _check_vectors(self, model, value):
        """Raise ValueError where the chosen output is that of a model of another task."""
        width, tokens = value.shape[-1], model.tokenizer
        if width == 1:
            raise ValueError(
                f"{self._output} is one number a text, as cross-encoders give, which a CrossEncoderReranker takes. "
                f"{model.open.signature()}"
            )
        if self.output is None and tokens.n_tokens is not None and tokens.n_own <= width <= tokens.n_padded:
            raise ValueError(
                f"{self._output} has {width} columns, one for each of the tokenizer's {tokens.n_tokens} tokens: these "
                "are logits or weights of terms, which OnnxSparseEncoder takes. If they are vectors all the same, name "
                "them by output="
            )

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("_model", "_opened_with"):  # opened anew on the other side
            state.pop(name, None)
        model, tokenizer = map(picklable, (self.model, self.tokenizer))
        # A file that was replaced makes another encoder, whose hash is another one, too.
        stamps = path_stamp(model), path_stamp(tokenizer_beside(model) if tokenizer is None else tokenizer)
        travelling = {"model": model, "tokenizer": tokenizer, "cache_folder": picklable(self.cache_folder)}
        return {**state, **travelling, "_stamps": stamps}

    def __setstate__(self, state):
        super().__setstate__({name: value for name, value in state.items() if name != "_stamps"})

    def __sklearn_clone__(self):
        # Open sessions and tokenizers are shared, not copied.
        parameters = {name: getattr(self, name) for name in self.get_params(deep=False)}
        shared = {name: parameters.pop(name) for name in ("model", "tokenizer")}
        other = type(self)(**shared, **{name: clone(value, safe=False) for name, value in parameters.items()})
        # What scikit-learn's own clone carries over beside the parameters.
        for name in ("_metadata_request", "_sklearn_output_config", "_skl_callbacks"):
            if name in vars(self):
                setattr(other, name, copy(vars(self)[name]))
        return other

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def as_texts(X):
    """The texts of any input as a list of str.

    Parameters
    ----------
    X : iterable of str, dict of str, StringArray, Corpus or Queries

    Returns
    -------
    list of str
    """
    if isinstance(X, str):
        raise ValueError(f"an iterable of texts is needed, got one str: [{X[:20]!r}] is a list of one")
    if isinstance(X, Corpus):
        X = X.text()
    if isinstance(X, StringArray):
        return X.tolist()
    if isinstance(X, Queries):
        return X.texts
    if len(getattr(X, "shape", ())) > 1:
        raise ValueError(f"an iterable of texts is needed; got {type(X).__name__} of shape {X.shape}. Pass one column")
    texts = list(X.values() if isinstance(X, Mapping) else X)
    StringArray.from_strings(texts, what="text")  # raises for what is no text
    return texts


def check_finite(values, batch, texts):
    """Raise ValueError for the first text of a batch of which a model makes something else than numbers.

    Parameters
    ----------
    values : ndarray or list of ndarray
        What was made of each text of the batch.
    batch : Batch
    texts : list of str
        All texts.
    """
    for index, value in zip(batch.indices, values):
        if not np.isfinite(value).all():
            raise ValueError(
                f"the model makes NaN or infinity of text {index}, {texts[index][:40]!r}: in half precision numbers "
                "may grow beyond what it holds. Take the model in single precision (fp32), or in int8"
            )
