"""Open models over texts, which check inputs and outputs and run batches."""

import warnings

import numpy as np

from sklrank._session._batches import Batch, chunks, in_threads, plan, prefetched
from sklrank._session._open_session import OpenSession, run_bound
from sklrank._session._source import Source
from sklrank._session._tokenizer import open_tokenizer
from sklrank._threads import n_local_threads

# Names that exporters give to the same input.
_ROLES = {
    "input_ids": "ids",
    "attention_mask": "mask",
    "input_mask": "mask",
    "token_type_ids": "types",
    "segment_ids": "types",
    "position_ids": "positions",
}
_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_CPU_TOKENS = 256  # per batch: each weight is used many times, and activations stay in the cache of the processor
_CUDA_TOKENS = 1 << 15
_CHARACTERS = 1 << 16  # characters that are tokenized together, one chunk ahead of the model
_OUTPUT_BYTES = 1 << 26  # maximum size of the output of a batch, on the CPU


class TextModel:
    """Run a model over texts or pairs of texts, by an open session and a tokenizer.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        ONNX model.
    tokenizer : tokenizers.Tokenizer, path, bytes, callable or None
        Tokenizer of the model.
    device : str, default="auto"
        Device that runs the model.
    providers : list, default=None
        Execution providers of ONNX Runtime, with their options, instead of `device`.
    n_jobs : int, default=None
        Number of threads. They run on the CPU, each with batches of its own; as in joblib.
    max_length : int, default=512
        Maximum number of tokens per input, special tokens included.

    Attributes
    ----------
    device : str
        Device that runs the model.
    tokenizer : FastTokenizer or CallableTokenizer
        Tokenizer of the model.
    inputs : dict
        Role ("ids", "mask", "types", "positions") → (name, dtype).
    """

    def __init__(self, model, tokenizer=None, *, device="auto", providers=None, n_jobs=None, max_length=512):
        self.source = Source(model)
        self.tokenizer = open_tokenizer(tokenizer, self.source.path)
        self.open = OpenSession.of(self.source, device, providers)
        self.device = self.open.device
        self.n_threads = n_local_threads(n_jobs)
        self.inputs = self._checked_inputs()
        self.n_rows, self.n_columns = self._fixed_shape()
        self.max_length = max_length if self.n_columns is None else min(max_length, self.n_columns)
        n_special = 0
        if self.tokenizer.single is not None:
            n_special = self.tokenizer.single.n_special
        if self.max_length <= n_special:
            raise ValueError(f"max_length={self.max_length} leaves no room for text besides {n_special} special tokens")

    def _checked_inputs(self):
        """Return role → (name, dtype) of the inputs, which must be those of a model over texts."""
        roles = {}
        for name, (kind, shape) in self.open.inputs.items():
            role = _ROLES.get(name)
            if role is None or kind not in _INTEGERS or len(shape) != 2:
                raise ValueError(
                    f"expected a model over texts, whose inputs are integers of shape (batch, tokens) named "
                    f"{', '.join(_ROLES)}, got the input {name}: {kind} {shape}. {self.open.signature()}"
                )
            roles[role] = (name, _INTEGERS[kind])
        if "ids" not in roles:
            raise ValueError(f"expected a model over texts, with an input input_ids. {self.open.signature()}")
        return roles

    def _fixed_shape(self):
        """Return the numbers of rows and columns of the input; None for each dimension that is free."""
        shape = self.open.inputs[self.inputs["ids"][0]][1]
        return tuple(map(_fixed_size, shape))

    def probe(self, outputs):
        """Run the model on two short texts, which shows whether it runs, and the true shapes of its outputs.

        Parameters
        ----------
        outputs : list of str
            Names of outputs.

        Returns
        -------
        list of ndarray
        """
        self.check_vocabulary()
        rows = self.tokenizer.rows(["a", "a b c"], self.max_length)
        return self.run(rows, [0, 1][: self.n_rows or 2], outputs)

    def check_vocabulary(self):
        """Raise ValueError if the tokenizer has tokens that the model lacks; warn if the model has many more tokens."""
        if self.tokenizer.n_tokens is None or self.device != "cpu":  # other devices do not check the token ids
            return
        from onnxruntime import RunOptions

        last = self.tokenizer.n_own - 1
        feeds = self._feeds([np.array([last])], None, [1])
        try:
            self.open.session.run(list(self.open.outputs)[:1], feeds)
        except Exception as error:
            if "out of data bounds" in str(error):
                raise ValueError(
                    f"the tokenizer does not belong to the model: it has {last + 1} tokens, and "
                    f"{self.open.description} has no token {last} ({error})"
                ) from None
            raise self._failure(error, 1, 1) from error
        quiet = RunOptions()
        quiet.log_severity_level = 4
        try:
            feeds = self._feeds([np.array([self.tokenizer.n_padded])], None, [1])
            self.open.session.run(list(self.open.outputs)[:1], feeds, quiet)
        except Exception:  # the expected outcome: the model has no such token
            return
        warnings.warn(
            f"the tokenizer has {self.tokenizer.n_tokens} tokens, and {self.open.description} has a token "
            f"{self.tokenizer.n_padded}: it may be the tokenizer of another model",
            UserWarning,
            stacklevel=2,
        )

    def batches(self, sizes, make_rows, outputs, *, max_tokens=None, report=None):
        """Run the model over texts, batch by batch, in the order of their lengths.

        Parameters
        ----------
        sizes : sequence of int
            Length of each text, or pair, in characters.
        make_rows : callable
            Function from indices of texts to their `Rows`. It is called one chunk ahead, in a thread.
        outputs : list of str
            Names of the outputs.
        max_tokens : int, default=None
            Maximum number of tokens per batch, padding included.
        report : callable, default=None
            Function that is called with the number of texts that are done.

        Yields
        ------
        Batch
        """
        max_tokens, max_rows = self.budget(outputs, max_tokens)
        on_cuda = self.device.startswith("cuda")
        n_threads = min(self.n_threads, len(sizes))
        multiple = 1
        if on_cuda:
            n_threads = 1
            if "mask" in self.inputs:
                multiple = 16  # fewer shapes, because each new one is planned
        n_characters = max(_CHARACTERS, 32 * max_tokens)  # several batches per chunk, each of similar lengths

        def jobs():
            for chunk, rows in prefetched(lambda chunk: (chunk, make_rows(chunk)), chunks(sizes, n_characters)):
                self._fill_empty(rows)
                for positions in plan(list(map(len, rows.ids)), max_tokens, max_rows, multiple):
                    yield chunk, rows, positions

        def run(job):
            _, rows, positions = job
            return self.run(rows, positions, outputs, multiple)

        done = 0
        for (chunk, rows, positions), values in in_threads(run, jobs(), n_threads):
            yield Batch(
                [chunk[i] for i in positions],
                [rows.ids[i] for i in positions],
                [rows.attended[i] for i in positions],
                values,
            )
            done += len(positions)
            if report is not None:
                report(done)

    def _fill_empty(self, rows):
        """Put one token of padding into rows that have no token at all."""
        for i, ids in enumerate(rows.ids):
            if not len(ids):
                rows.ids[i], rows.attended[i] = np.array([self.tokenizer.pad]), 1
                if rows.types is not None:
                    rows.types[i] = np.zeros(1, dtype=np.int64)

    def pair_batches(self, first, second, outputs, *, max_first=None, max_tokens=None, report=None):
        """Run the model over pairs of texts, batch by batch.

        Parameters
        ----------
        first, second : list of str
            Queries and documents. If a pair is too long, its document is cut. Queries longer than `max_first` are cut
            with a warning.
        outputs : list of str
            Names of the outputs.
        max_first : int, default=None
            Maximum number of tokens of a query. If None, it is half of `max_length`.
        max_tokens : int, default=None
            Maximum number of tokens per batch, padding included.
        report : callable, default=None
            Function that is called with the number of pairs that are done.

        Returns
        -------
        iterator of Batch
        """
        sizes = [len(a) + len(b) for a, b in zip(first, second, strict=True)]
        make_rows = self.tokenizer.pair_maker(first, second, self.max_length, max_first)
        return self.batches(sizes, make_rows, outputs, max_tokens=max_tokens, report=report)

    def budget(self, outputs, max_tokens=None):
        """Return the maximum number of tokens and of rows of a batch.

        A model that quantizes its activations by the batch reads one text at a time, unless `max_tokens` is given.
        The result of a text then does not depend on the others. On the CPU this is also the fastest.

        Parameters
        ----------
        outputs : list of str
        max_tokens : int, default=None

        Returns
        -------
        max_tokens : int
        max_rows : int
        """
        if "mask" not in self.inputs:  # padding would be read as text
            return max_tokens or _CPU_TOKENS, 1
        if self.n_rows is not None:
            return max_tokens or _CPU_TOKENS, self.n_rows
        if max_tokens is not None:
            return max_tokens, max_tokens
        if self.device.startswith("cuda"):
            return _CUDA_TOKENS, _CUDA_TOKENS
        if self.open.depends_on_batch:
            return _CPU_TOKENS, 1
        widths = [shape[-1] for name in outputs if len(shape := self.open.outputs[name][1]) == 3]
        widest = max((width for width in widths if isinstance(width, int)), default=1)
        return min(_CPU_TOKENS, max(_OUTPUT_BYTES // (4 * widest), 1)), _CPU_TOKENS

    def _feeds(self, ids, types, attended, multiple=1):
        """Return an array for each input that the model has."""
        longest = max(map(len, ids))
        padded = -(-longest // multiple) * multiple
        shape = (self.n_rows or len(ids), self.n_columns or min(padded, max(self.max_length, longest)))
        feeds = {}
        for role, (name, dtype) in self.inputs.items():
            if role == "positions":
                feeds[name] = np.broadcast_to(np.arange(shape[1], dtype=dtype), shape).copy()
                continue
            array = feeds[name] = np.zeros(shape, dtype=dtype)
            if role == "ids":
                array[:] = self.tokenizer.pad
                for i, row in enumerate(ids):
                    array[i, : len(row)] = row
            elif role == "mask":
                for i, n in enumerate(attended):
                    array[i, :n] = 1
                array[len(ids) :, 0] = 1  # rows that fill up a fixed batch, because attention to no token gives NaN
            elif types is not None:
                for i, row in enumerate(types):
                    array[i, : len(row)] = row
        return feeds

    def run(self, rows, positions, outputs, multiple=1):
        """Run the model over one batch of rows.

        Parameters
        ----------
        rows : Rows
        positions : list of int
            Rows of the batch.
        outputs : list of str
            Names of the outputs.
        multiple : int, default=1
            Number of tokens of which the padded length is a multiple.

        Returns
        -------
        list of ndarray
            An array for each output, with a row for each position. Floats have single precision.
        """
        ids = [rows.ids[i] for i in positions]
        types = rows.types and [rows.types[i] for i in positions]
        feeds = self._feeds(ids, types, [rows.attended[i] for i in positions], multiple)
        try:
            if self.device.startswith("cuda"):
                values = run_bound(self.open.session, feeds, outputs, *self.device.split(":"))
            else:
                values = self.open.session.run(outputs, feeds)
        except Exception as error:  # the errors of ONNX Runtime have no base class
            raise self._failure(error, len(ids), max(map(len, ids))) from error
        return [_single_precision(value[: len(ids)]) for value in values]

    def _failure(self, error, n_rows, n_tokens):
        return ValueError(
            f"the model failed on {n_rows} texts of up to {n_tokens} tokens: {error}. If it has fewer positions than "
            f"max_length={self.max_length}, give a smaller max_length. If the tokenizer belongs to another model, its "
            f"tokens may not exist in this one. {self.open.signature()}"
        )


def _fixed_size(dimension):
    """Return the size of a dimension, None if it is free."""
    if isinstance(dimension, int) and dimension > 0:
        return dimension
    return None


def _single_precision(array):
    if array.dtype.kind != "f":
        return array
    return array.astype(np.float32, copy=False)
