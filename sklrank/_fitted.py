"""Record the parameters that need a new `fit` when `fit` ends, and compare them when a verb begins."""

from numbers import Integral, Number

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

__all__ = ["FittedMixin", "ParameterRecord", "check_parameters", "check_unchanged", "record_fit"]

_FEW = 64  # lists and dicts, which can change in place, are compared in each call up to this number of items


class FittedMixin:
    """Mixin of estimators that name the parameters which need a new `fit`.

    ``_refit_parameters`` names them; all others take effect at once. A parameter that holds an estimator, or a list
    with estimators, includes the parameters of these estimators. `record_fit` records the values at the end of `fit`,
    and `check_unchanged` raises an error if one of them has changed at the time of a call.
    """

    _refit_parameters = ()

    def _needs_refit(self, name, old, new):
        """Tell whether a change of one of ``_refit_parameters`` needs a new `fit`.

        A subclass overrides this if some changes of a parameter take effect at once. The values for which the answer
        is False must form an equivalence relation.
        """
        return not is_equal(old, new)

    def __getstate__(self):
        state = super().__getstate__()
        record = vars(self).get("_fit_record")
        if record is None:
            return state
        # A copy holds other objects and makes a new record: only the changed values are pickled.
        return {**state, "_fit_record": record.changes(self)}

    def __setstate__(self, state):
        super().__setstate__(state)
        changed = vars(self).get("_fit_record")
        if changed is not None:
            self._fit_record = ParameterRecord(self, self._refit_parameters, changed)


def record_fit(estimator):
    """Record the parameters that need a new `fit`, at the end of `fit`.

    Parameters
    ----------
    estimator : estimator
    """
    names = getattr(estimator, "_refit_parameters", ())
    if names:
        estimator._fit_record = ParameterRecord(estimator, names)
        estimator._fit_record.note_valid(estimator)


def check_unchanged(estimator):
    """Raise ValueError if a parameter that needs a new `fit` was changed after it.

    Parameters
    ----------
    estimator : estimator
        It passes if it has no record, because its class has no such parameters or it is not fitted.
    """
    record = vars(estimator).get("_fit_record")
    if record is None or record.holds(vars(estimator)):
        return
    estimator._validate_params()  # an invalid value has its own error
    for name in record.changes(estimator):
        raise ValueError(f"{name}= was changed after fit: fit again")
    record.accept(estimator)


def check_parameters(estimator):
    """Validate the parameters of a fitted estimator if one of them was set since they were validated last.

    Parameters
    ----------
    estimator : estimator
        It passes without a record, as in `check_unchanged`.
    """
    record = vars(estimator).get("_fit_record")
    if record is not None and not record.is_valid(vars(estimator)):
        estimator._validate_params()
        record.note_valid(estimator)


class ParameterRecord:
    """The present values of parameters, including those of nested estimators, for a later comparison.

    Parameters
    ----------
    estimator : estimator
    names : sequence of str
        The parameters.
    changed : dict of str to object, default={}
        Values to record instead of those that the estimator has now.
    """

    def __init__(self, estimator, names, changed=()):
        self._names = names
        self._before = {name: _copy(value) for name, (_, _, value) in _parameters(estimator, names).items()}
        self._before.update(changed)
        self._accepted = self._valid = None
        if not changed:
            self.accept(estimator)

    def accept(self, estimator):
        """Accept the present objects as equal to the recorded values, so that `holds` only compares identities.

        Parameters
        ----------
        estimator : estimator
        """
        parameters = _parameters(estimator, self._names).values()
        # vars(estimator) is not kept: it holds the record, and a cycle would keep both alive.
        direct = [(key, value) for owner, key, value in parameters if owner is estimator]
        nested = [(vars(owner), key, value) for owner, key, value in parameters if owner is not estimator]
        containers = [(value, _copy(value)) for _, _, value in parameters if _is_mutable(value)]
        self._accepted = direct, nested, containers

    def holds(self, attributes):
        """Tell whether the values are the accepted objects; the comparison takes a microsecond.

        Parameters
        ----------
        attributes : dict
            Attributes of the estimator.

        Returns
        -------
        bool
        """
        if self._accepted is None:
            return False
        direct, nested, containers = self._accepted
        try:
            for key, value in direct:
                if attributes[key] is not value:
                    return False
            for part, key, value in nested:
                if part[key] is not value:
                    return False
            for value, before in containers:
                if value != before:
                    return False
        except (KeyError, ValueError):  # a parameter is missing, or a list holds another array
            return False
        return True

    def note_valid(self, estimator):
        """Note that all present parameters are valid.

        Parameters
        ----------
        estimator : estimator
        """
        self._valid = list(estimator.get_params(deep=False).items())

    def is_valid(self, attributes):
        """Whether all parameters are the objects that `note_valid` saw: a comparison that costs a microsecond.

        Parameters
        ----------
        attributes : dict
            Those of the estimator.

        Returns
        -------
        bool
        """
        if self._valid is None:
            return False
        for name, value in self._valid:
            if attributes.get(name) is not value:
                return False
        return True

    def changes(self, estimator):
        """Return the parameters that need a new `fit`.

        Parameters
        ----------
        estimator : estimator

        Returns
        -------
        dict of str to object
            Recorded values, by the names that `set_params` takes.
        """
        if self.holds(vars(estimator)):
            return {}
        present = _parameters(estimator, self._names)
        # A name is missing if a nested estimator was replaced by one of another class, which is a change itself.
        return {
            name: old
            for name, old in self._before.items()
            if name in present and _is_changed(estimator, *present[name], old)
        }


def _is_changed(estimator, owner, key, new, old):
    if owner is estimator:
        return estimator._needs_refit(key, old, new)
    if isinstance(owner, FrozenEstimator):  # it is not fitted again, so that its learned state matters
        return old is not new and joblib.hash(old) != joblib.hash(new)
    if is_equal(old, new):
        return False
    has_same_content = getattr(owner, "has_same_content", None)  # of encoders: the file of a model may have moved
    return has_same_content is None or not has_same_content(key, old, new)


def _parameters(estimator, names):
    """Return, by name, the estimator that has the parameter, the attribute, and the value."""
    return dict(_walk(estimator, names, ""))


def _walk(estimator, names, prefix):
    """Yield the name of each parameter, as of `set_params`, with the estimator, the attribute and the value."""
    for key in names:
        if key not in vars(estimator):  # a property, which is made from other parameters
            continue
        value = vars(estimator)[key]
        yield prefix + key, (estimator, key, value)
        for part, name in _parts(value, key):
            yield from _walk(part, part.get_params(deep=False), f"{prefix}{name}__")


def _parts(value, name):
    """Return the estimators that a parameter holds, each with its name."""
    if _is_estimator(value):
        return [(value, name)]
    if not isinstance(value, (list, tuple)):
        return []
    named = [item for item in value if isinstance(item, (list, tuple)) and len(item) > 1 and isinstance(item[0], str)]
    return [(item[1], item[0]) for item in named if _is_estimator(item[1])]


def _is_estimator(value):
    return hasattr(value, "get_params") and not isinstance(value, type)


def _is_mutable(value):
    return isinstance(value, (list, dict)) and len(value) <= _FEW


def _copy(value):
    if _is_mutable(value):
        return value.copy()
    return value


def is_equal(old, new):
    """Tell whether two values of a parameter are equal; for estimators, whether they have the same class."""
    if old is new:
        return True
    if isinstance(old, Number) and isinstance(new, Number):
        same_kind = isinstance(old, Integral) == isinstance(new, Integral)  # 1 and 1.0 mean different things as max_df
        return same_kind and bool(old == new or old != old and new != new)
    if type(old) is not type(new) and not (isinstance(old, np.ndarray) and isinstance(new, np.ndarray)):
        return False
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(is_equal, old, new))
    if isinstance(old, dict):
        return list(old) == list(new) and all(map(is_equal, old.values(), new.values()))
    if _is_estimator(old):
        return True  # their parameters are compared one by one
    if isinstance(old, (str, bytes)) or callable(old):
        return old == new
    try:
        return joblib.hash(old, coerce_mmap=True) == joblib.hash(new, coerce_mmap=True)
    except Exception:  # a value that does not pickle equals only itself
        return False
