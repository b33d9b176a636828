"""Numba functions on arrays: they import numpy and numba only, and know neither ids nor estimators."""
