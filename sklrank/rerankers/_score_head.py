"""Score of a pair from the outputs of a cross-encoder: output, labels, activation."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from sklrank._session._quantize import MOST_LABELS


@dataclass(frozen=True)
class ScoreHead:
    """Function from the output of a cross-encoder to scores.

    Attributes
    ----------
    output : str
        Name of the output that holds the scores.
    n_labels : int
        Number of labels: the output has as many numbers per pair.
    label : int or None
        Label whose value is the score. If None, it is the only label, or the score is the expected grade.
    activation : {"identity", "sigmoid", "softmax"}
        Function applied to the model's output.
    """

    output: str
    n_labels: int
    label: int | None
    activation: str

    @classmethod
    def of(cls, model, *, output=None, label=None, activation="auto"):
        """Make the head of an open model. The model reads one pair for this.

        Parameters
        ----------
        model : TextModel
            Open model.
        output, label, activation
            As in `CrossEncoder`.

        Returns
        -------
        ScoreHead
        """
        output, n_labels = _output_of(model, output, label)
        if label is not None and label >= n_labels:
            raise ValueError(f"label={label}, but the labels of {model.open.description} are 0 to {n_labels - 1}")
        if activation == "softmax" and n_labels == 1:
            raise ValueError("activation='softmax' of one number is always 1; use 'sigmoid' or 'auto'")
        if activation == "auto":
            activation = "softmax" if n_labels > 1 else "identity"
        elif activation != "softmax" and n_labels > 1 and label is None:
            raise ValueError(
                f"the expected grade needs probabilities of the {n_labels} labels, and activation={activation!r} makes "
                "none; give label=, or use 'softmax'"
            )
        return cls(output, n_labels, label, activation)

    def scores(self, logits):
        """Compute the score of each pair.

        Parameters
        ----------
        logits : ndarray of shape (n_pairs,) or (n_pairs, n_labels)
            Output of the model.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        logits = logits.reshape(len(logits), -1).astype(np.float64)
        values = {"identity": np.asarray, "sigmoid": expit, "softmax": _softmax}[self.activation](logits)
        if self.n_labels == 1:
            return values[:, 0]
        if self.label is None:
            return values @ np.arange(self.n_labels)
        return values[:, self.label]


def _output_of(model, chosen, label):
    """Return the name of the output that holds the scores, and its number of labels."""
    names = list(model.open.outputs)
    model.check_vocabulary()
    values = next(iter(model.pair_batches(["a"], ["a b c"], names))).outputs
    fits = {name: _width(value) for name, value in zip(names, values) if value.ndim < 3 and value.dtype.kind == "f"}
    if chosen is not None and chosen not in names:
        raise ValueError(f"the model has no output {chosen!r}: {model.open.signature()}")
    if not fits or (chosen is not None and chosen not in fits):
        found = ", ".join(f"{name} of shape {value.shape} and {value.dtype}" for name, value in zip(names, values))
        raise ValueError(
            "expected a cross-encoder to have an output with one number per pair, or one per label; for one pair the "
            f"model returns {found}. {model.open.signature()}"
        )
    name = chosen or _likeliest(fits)
    if name is None:
        raise ValueError(
            f"several outputs of the model may be the score, {', '.join(fits)}; give output=. {model.open.signature()}"
        )
    if fits[name] > MOST_LABELS and label is None:
        raise ValueError(
            f"{name} of the model has {fits[name]} numbers per pair, which looks like a vector, not like the score of "
            "a cross-encoder; if they are labels, give label=, and if another output is the score, give output=. "
            f"{model.open.signature()}"
        )
    return name, fits[name]


def _width(output):
    """Return the number of values per pair of an output."""
    if output.ndim == 2:
        return output.shape[1]
    return 1


def _likeliest(fits):
    """Choose the output that holds the scores, given the numbers per pair of each output; None if it is ambiguous."""
    if "logits" in fits:
        return "logits"
    single = [name for name, width in fits.items() if width == 1] or list(fits)
    if len(single) == 1:
        return single[0]
    return None


def _softmax(logits):
    return softmax(logits, axis=1)
