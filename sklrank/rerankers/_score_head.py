"""From the outputs of a cross-encoder to one score a pair: output, labels, activation."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from sklrank._session._quantize import MOST_LABELS


@dataclass(frozen=True)
class ScoreHead:
    """What is made of the output of a cross-encoder.

    Attributes
    ----------
    output : str
        Name of the output that holds the scores.
    n_labels : int
        Number of labels: how many numbers the output has for a pair.
    label : int or None
        The label whose value is the score; ``None``: the only one, or the expected grade.
    activation : {"identity", "sigmoid", "softmax"}
        Function of the logits.
    """

    output: str
    n_labels: int
    label: int | None
    activation: str

    @classmethod
    def of(cls, model, *, output=None, label=None, activation="auto"):
        """The head of an open model, of which one pair is read.

        Parameters
        ----------
        model : TextModel
        output, label, activation
            As of a `CrossEncoder`.

        Returns
        -------
        ScoreHead
        """
        output, n_labels = _output_of(model, output, label)
        if label is not None and label >= n_labels:
            raise ValueError(f"label={label}, and the labels of {model.open.description} are 0 to {n_labels - 1}")
        if activation == "softmax" and n_labels == 1:
            raise ValueError("activation='softmax' of one number is always 1: take 'sigmoid', or 'auto'")
        if activation == "auto":
            activation = "softmax" if n_labels > 1 else "identity"
        elif activation != "softmax" and n_labels > 1 and label is None:
            raise ValueError(
                f"activation={activation!r} makes no probabilities of {n_labels} labels, of which to expect a "
                "grade: say label=, or take 'softmax'"
            )
        return cls(output, n_labels, label, activation)

    def scores(self, logits):
        """One number for each pair.

        Parameters
        ----------
        logits : ndarray of shape (n_pairs,) or (n_pairs, n_labels)

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        logits = logits.reshape(len(logits), -1).astype(np.float64)
        values = {"identity": np.asarray, "sigmoid": expit, "softmax": _softmax}[self.activation](logits)
        if self.n_labels == 1:
            return values[:, 0]
        return values @ np.arange(self.n_labels) if self.label is None else values[:, self.label]


def _output_of(model, chosen, label):
    """Name of the output that holds the scores, and how many labels it has."""
    names = list(model.open.outputs)
    model.check_vocabulary()
    values = next(iter(model.pair_batches(["a"], ["a b c"], names))).outputs
    fits = {
        name: value.shape[-1] if value.ndim == 2 else 1
        for name, value in zip(names, values)
        if value.ndim < 3 and value.dtype.kind == "f"
    }
    if chosen is not None and chosen not in names:
        raise ValueError(f"output={chosen!r} is none of the model's: {model.open.signature()}")
    if not fits or (chosen is not None and chosen not in fits):
        found = ", ".join(f"{name} of shape {value.shape} and {value.dtype}" for name, value in zip(names, values))
        raise ValueError(
            "a cross-encoder gives one number a pair, or one for each label; of one pair the model makes "
            f"{found}. {model.open.signature()}"
        )
    name = chosen or _likeliest(fits)
    if name is None:
        raise ValueError(
            f"several outputs of the model may be the score, {', '.join(fits)}: say output=. {model.open.signature()}"
        )
    if fits[name] > MOST_LABELS and label is None:
        raise ValueError(
            f"{name} of the model is {fits[name]} numbers a pair, which looks like a vector, not like the score of "
            "a cross-encoder; if they are labels, say label=, and if another output is the score, output=. "
            f"{model.open.signature()}"
        )
    return name, fits[name]


def _likeliest(fits):
    """Name of the output that holds the scores, of name → numbers a pair; None if that cannot be told."""
    if "logits" in fits:
        return "logits"
    single = [name for name, width in fits.items() if width == 1] or list(fits)
    return single[0] if len(single) == 1 else None


def _softmax(logits):
    return softmax(logits, axis=1)
