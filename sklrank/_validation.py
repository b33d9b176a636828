"""Checks at the public boundary, and the only importer of scikit-learn's private names."""

from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

__all__ = ["HasMethods", "Interval", "RealNotInt", "StrOptions"]
