"""Reader of learning-to-rank files."""

import gzip
import zlib

import numpy as np
from sklearn.datasets import load_svmlight_file
from sklearn.utils import Bunch

from sklrank.datasets._files import bad_line, open_binary


class _Rows:
    """A file that knows which line was read last, and that each row needs a query."""

    def __init__(self, file):
        self.file = file
        self.read = file.read
        self.number = 0

    def __iter__(self):
        for line in self.file:
            self.number += 1
            row = line.partition(b"#")[0]
            if row.strip() and b"qid:" not in row:
                raise ValueError("no qid")
            yield line


def read_letor(path, *, n_features=None):
    r"""Read a learning-to-rank file: svmlight rows with the query of each.

    A row is ``grade qid:query feature:value ... # comment``, with features counted from 1. LETOR, MSLR-WEB, Yahoo and
    Istella are such files.

    Parameters
    ----------
    path : str or path
        The file; through gzip where its name ends in ``.gz``.
    n_features : int, default=None
        Number of features, where several files must agree. ``None``: the highest that the file names.

    Returns
    -------
    pairs : Bunch
        ``X`` (CSR matrix of shape (n_pairs, n_features); a feature that a row leaves out is 0 there), ``y`` (grades,
        float64 of shape (n_pairs,)) and ``qid`` (int64 of shape (n_pairs,)).

    Raises
    ------
    ValueError
        If a row cannot be read; the message starts with the file and the line.

    See Also
    --------
    sklearn.datasets.load_svmlight_file : Reads the rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrank.datasets import read_letor
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "train.txt")
    ...     _ = path.write_text("2 qid:7 1:0.5 3:1 # docid = A\n0 qid:7 2:0.25\n1 qid:9 1:1\n")
    ...     pairs = read_letor(path)
    >>> pairs.X.toarray()
    array([[0.5 , 0.  , 1.  ],
           [0.  , 0.25, 0.  ],
           [1.  , 0.  , 0.  ]])
    >>> pairs.y, pairs.qid
    (array([2., 0., 1.]), array([7, 7, 9]))
    """
    with open_binary(path) as file:
        rows = _Rows(file)
        try:
            X, y, qid = load_svmlight_file(rows, n_features=None, query_id=True, zero_based=False)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise bad_line(path, rows.number + 1, f"not gzip, or cut off: {error}") from error
        except (ValueError, OverflowError) as error:
            reason = f"not 'grade qid:query feature:value ...' with features counted from 1, in order: {error}"
            raise bad_line(path, rows.number, reason) from error
    if not len(y):
        raise ValueError(f"{path}: holds no rows")
    if not np.isfinite(y).all():
        raise ValueError(f"{path}: row {int(np.argmin(np.isfinite(y)))}, counted from 0, has no finite grade")
    if n_features is not None:
        if n_features < X.shape[1]:
            raise ValueError(f"{path}: has {X.shape[1]} features, more than n_features={n_features}")
        X.resize(len(y), n_features)
    return Bunch(X=X, y=y, qid=np.asarray(qid, dtype=np.int64))
