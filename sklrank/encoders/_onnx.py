"""Base class of encoders that run an ONNX model."""

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
    TOKENIZER_FORMS,
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
_BLOCK = 1024  # maximum number of texts that an interrupted run with a cache_folder loses
_RUNTIME = {"device": "auto", "providers": None, "cache_folder": None, "n_jobs": None, "verbose": False}
_NOT_HASHED = {"model", "tokenizer", *_RUNTIME}  # the content of the first two is hashed instead


class OnnxEncoder(PrintedBytesMixin, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Base class of encoders, which open an ONNX model and encode texts by it.

    A subclass has the parameters below and defines

    * ``_set_outputs(model)``, which chooses among the outputs of the model;
    * ``_encode(texts, report)``, which runs the model;
    * ``_packed(encoded)`` and ``_unpacked(values)``, which convert results for the cache: one bytes object per text.
    """

    _parameter_constraints: dict = {
        "model": [str, PathLike, bytes, Hidden(PrintedBytes), HasMethods(["run", "get_inputs"])],
        "tokenizer": [*TOKENIZER_FORMS, Hidden(PrintedBytes)],
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
        """Make an encoder from a model of the Hugging Face hub, with the settings of its repository.

        Tokenizer, pooling, normalization, marker tokens and maximum length come from the files of the repository.
        Downloaded files stay in the cache of the hub, where they are found without a network. The estimator keeps the
        commit.

        Parameters
        ----------
        repository : str
            Name of the repository, "organization/name", or a folder with the files of one.
        file : str, default="onnx/model.onnx"
            Path of the ONNX model in the repository.
        revision : str, default=None
            Branch, tag or commit. If None, the present state of the main branch is used. A commit makes a program
            repeatable.
        prompt : str, default=None
            Name of the prompt of the repository that becomes `prefix`, often "query" or "document". If None, the
            default prompt of the repository is used, if it has one.
        **parameters : dict
            Parameters of the encoder. They take precedence over the settings of the repository.

        Returns
        -------
        encoder : estimator
            The encoder.
        """
        if prompt is not None and "prefix" in parameters:
            raise ValueError(f"expected prompt= or prefix=, got both: {prompt!r} and {parameters['prefix']!r}")
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
        """Return the parameters that a repository states for this kind of encoder."""
        return {}

    def _check_width(self, source):
        """Raise ValueError if the ONNX file lacks the last layer that the repository states."""

    def fit(self, X=None, y=None):
        """Open the model. Nothing is learned.

        Parameters
        ----------
        X : Ignored
            Not used, present by convention.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        self : estimator
            The encoder with an open model.
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
        self._opened_with = opened_with  # last, because threads that find it use the rest
        return self

    @with_callbacks
    def transform(self, X):
        """Encode texts.

        Parameters
        ----------
        X : iterable of str, dict, Corpus or Queries
            The texts. The texts of a dict are its values.

        Returns
        -------
        encoded : ndarray, csr_array or TokenVectors
            One row, or one matrix, per text.
        """
        texts = as_texts(X)
        self._opened()
        store = self._store()
        if store is None:
            with progress(self, "encoded", len(texts), verbose=self.verbose) as report:
                return self._encode(texts, report)
        values = store.get(texts)
        missing = list(dict.fromkeys(text for text, value in zip(texts, values) if value is None))
        known = dict(zip(texts, values))
        with progress(self, "encoded", len(missing), verbose=self.verbose) as report:
            for start in range(0, len(missing), _BLOCK):
                block = missing[start : start + _BLOCK]
                packed = self._packed(self._encode(block, None))
                store.put(block, packed)
                known.update(zip(block, packed))
                if report is not None:
                    report(start + len(block))
        return self._unpacked([known[text] for text in texts])

    def _opened(self):
        """Return the open model. Open it before if `fit` was not called, after unpickling, or if parameters changed."""
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
        except (OSError, TypeError, ValueError):  # a file that is missing, or a value that is not a file
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
        """Return the file that keeps results by content, None without a `cache_folder`."""
        if self.cache_folder is None:
            return None
        if not hasattr(self._model, "name"):
            tokenizer = self._model.tokenizer.fingerprint
            if tokenizer is None:
                raise ValueError(
                    "cache_folder= needs a tokenizer whose content is known, got a function. Give a tokenizer.json"
                )
            settings = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_HASHED}
            self._model.name = joblib.hash((type(self).__name__, self._model.source.fingerprint(), tokenizer, settings))
        return Store(self.cache_folder, self._model.name)

    def _make_rows(self, texts):
        """Return a function from indices of texts to `Rows`."""
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
        """Return the output to use: `output`, or the first one with the best number of dimensions.

        Parameters
        ----------
        model : TextModel
        ranks : tuple of int
            Possible numbers of dimensions, the best first.

        Returns
        -------
        name : str
            Name of the output.
        value : ndarray
            Its value for two short texts.
        """
        names = list(model.open.outputs)
        if self.output is not None:
            if self.output not in names:
                raise ValueError(f"output={self.output!r} is not an output of the model. {model.open.signature()}")
            names = [self.output]
        values = dict(zip(names, model.probe(names)))
        for rank in ranks:
            for name, value in values.items():
                if value.ndim == rank and value.dtype == np.float32:
                    return name, value
        found = ", ".join(f"{name} of shape {value.shape} and {value.dtype}" for name, value in values.items())
        raise ValueError(
            f"{type(self).__name__} needs an output of numbers in {' or '.join(map(str, ranks))} dimensions. For two "
            f"short texts the model returns {found}. {model.open.signature()}"
        )

    def _check_vectors(self, model, value):
        """Raise ValueError if the chosen output belongs to a model for another task."""
        width, tokens = value.shape[-1], model.tokenizer
        if width == 1:
            raise ValueError(
                f"{self._output} is one number per text, as in a cross-encoder: use it in a CrossEncoderReranker. "
                f"{model.open.signature()}"
            )
        if self.output is None and tokens.n_tokens is not None and tokens.n_own <= width <= tokens.n_padded:
            raise ValueError(
                f"{self._output} has {width} columns, one for each of the tokenizer's {tokens.n_tokens} tokens. They "
                "are probably logits or weights of terms: use an OnnxSparseEncoder. If they are vectors, name the "
                "output by output="
            )

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("_model", "_opened_with", "_pooled"):  # made again after unpickling
            state.pop(name, None)
        model, tokenizer = map(picklable, (self.model, self.tokenizer))
        state.update(model=model, tokenizer=tokenizer, cache_folder=picklable(self.cache_folder))
        if tokenizer is None:
            tokenizer = tokenizer_beside(model)
        # If a file was replaced, the encoder is another one and must have another hash.
        state["_stamps"] = path_stamp(model), path_stamp(tokenizer)
        return state

    def __setstate__(self, state):
        super().__setstate__({name: value for name, value in state.items() if name != "_stamps"})

    def __sklearn_clone__(self):
        # Open sessions and tokenizers are shared, not copied.
        parameters = {name: getattr(self, name) for name in self.get_params(deep=False)}
        shared = {name: parameters.pop(name) for name in ("model", "tokenizer")}
        other = type(self)(**shared, **{name: clone(value, safe=False) for name, value in parameters.items()})
        # scikit-learn's own clone copies these besides the parameters.
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
    """Return the texts of any input as a list of str.

    Parameters
    ----------
    X : iterable of str, dict of str, StringArray, Corpus or Queries

    Returns
    -------
    list of str
    """
    if isinstance(X, str):
        raise ValueError(f"expected an iterable of texts, got one str. A list of one text is [{X[:20]!r}]")
    if isinstance(X, Corpus):
        X = X.text()
    if isinstance(X, StringArray):
        return X.tolist()
    if isinstance(X, Queries):
        return X.texts
    if len(getattr(X, "shape", ())) > 1:
        raise ValueError(f"expected an iterable of texts, got {type(X).__name__} of shape {X.shape}. Pass one column")
    if isinstance(X, Mapping):
        X = X.values()
    texts = list(X)
    StringArray.from_strings(texts, what="text")  # raises an error for objects that are not texts
    return texts


def check_finite(values, batch, texts):
    """Raise ValueError for the first text of a batch for which a model returns NaN or infinity.

    Parameters
    ----------
    values : ndarray or list of ndarray
        Result of each text of the batch.
    batch : Batch
    texts : list of str
        All texts.
    """
    for index, value in zip(batch.indices, values):
        if not np.isfinite(value).all():
            raise ValueError(
                f"the model returns NaN or infinity for text {index}, {texts[index][:40]!r}. Numbers may become too "
                "great for half precision: use the model in single precision (fp32) or in int8"
            )
