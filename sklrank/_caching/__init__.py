"""Everything that is kept between two calls, and every key under which it is found.

`Cache` holds large values within a limit of bytes, `Once` holds many small ones, `Recent` finds objects that are alive
and keeps the last few, and `Attached` holds a value as long as the objects live that it belongs to. `keys` says under
which keys. No other module keeps results.
"""

from sklrank._caching._attached import Attached
from sklrank._caching._cache import DEFAULT_LIMIT, Cache, Derives
from sklrank._caching._files import Folder, Parts
from sklrank._caching._once import Once
from sklrank._caching._recent import Recent, memoized
from sklrank._caching._sizes import Counted

__all__ = ["DEFAULT_LIMIT", "Attached", "Cache", "Counted", "Derives", "Folder", "Once", "Parts", "Recent", "memoized"]
