"""Stores of results that are kept between two calls, and their keys.

`Cache` holds large values within a limit of bytes. `Once` holds many small values. `Recent` finds objects that live
and keeps the last few of them. `Attached` holds a value as long as the objects that it belongs to live. `keys`
and `ranking_keys` make the keys. No other module keeps results.
"""

from sklrank._caching._attached import Attached
from sklrank._caching._cache import DEFAULT_LIMIT, Cache, Derives
from sklrank._caching._files import MISSING, Folder, Parts
from sklrank._caching._once import Once
from sklrank._caching._recent import Recent, memoized
from sklrank._caching._sizes import Counted, is_mapped

__all__ = [
    "DEFAULT_LIMIT",
    "MISSING",
    "Attached",
    "Cache",
    "Counted",
    "Derives",
    "Folder",
    "Once",
    "Parts",
    "Recent",
    "is_mapped",
    "memoized",
]
