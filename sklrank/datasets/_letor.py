"""Reader of learning-to-rank files."""

import numpy as np
from sklearn.datasets import load_svmlight_file
from sklearn.utils import Bunch

from sklrank.data._files import bad_line, byte_blocks

_FORM = "expected 'grade qid:query feature:value ...' with features counted from 1, in order"


class _Rows:
    """Pass the rows of a file to scikit-learn's reader, and keep their line numbers.

    Attributes
    ----------
    numbers : list of int
        Line number of each row that has been read.
    error : ValueError or None
        Error of the file or of a row that was found before scikit-learn read it. It names the line.
    """

    def __init__(self, path):
        self.path = path
        self.numbers = []
        self.error = None

    def __iter__(self):
        try:
            for first, block in byte_blocks(self.path):
                for number, line in enumerate(block.split(b"\n"), first):
                    row = line.partition(b"#")[0]
                    if row.strip():
                        self._check(number, row)
                        self.numbers.append(number)
                        yield row
        except ValueError as error:
            self.error = error
            raise

    def read(self):
        """Raise an error: scikit-learn needs the method to tell a file from a path, but reads lines only."""
        raise NotImplementedError

    def _check(self, number, row):
        if b"qid:" not in row:
            raise bad_line(self.path, number, f"no qid; {_FORM}")
        if b"_" in row or b"\0" in row:  # Python's or C's number parsers would ignore these
            raise bad_line(self.path, number, f"a character that is not part of a number; {_FORM}")


def read_letor(path, *, n_features=None):
    r"""Read a learning-to-rank file: svmlight rows, each with its query.

    A row is ``grade qid:query feature:value ... # comment``, with features counted from 1. LETOR, MSLR-WEB, Yahoo and
    Istella have this format.

    Parameters
    ----------
    path : str or path
        The file. A file ``.gz`` is decompressed.
    n_features : int, default=None
        Number of features, if several files must agree. If None, the highest feature in the file.

    Returns
    -------
    pairs : Bunch
        ``X`` (CSR matrix of shape (n_pairs, n_features); a missing feature is 0, and ``nan`` stays NaN),
        ``y`` (grades, float64 of shape (n_pairs,)) and ``qid`` (int64 of shape (n_pairs,)).

    Raises
    ------
    ValueError
        If a row cannot be read. The message starts with the file and the line.

    See Also
    --------
    sklearn.datasets.load_svmlight_file : Read svmlight files.

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
    rows = _Rows(path)
    try:
        X, y, qid = load_svmlight_file(rows, n_features=None, query_id=True, zero_based=False)
    except (ValueError, OverflowError) as error:
        if error is rows.error:
            raise
        raise bad_line(path, rows.numbers[-1], f"{_FORM}: {str(error)[:200]}") from error
    if not len(y):
        raise ValueError(f"{path}: the file has no rows")
    if not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y)))
        raise bad_line(path, rows.numbers[row], f"the grade is not a finite number: {y[row]}")
    if np.isinf(X.data).any():
        row = int(np.searchsorted(X.indptr, np.argmax(np.isinf(X.data)), side="right")) - 1
        raise bad_line(path, rows.numbers[row], "a feature is infinite or too large for float64")
    if n_features is not None:
        if n_features < X.shape[1]:
            raise ValueError(f"{path}: has {X.shape[1]} features, more than n_features={n_features}")
        X.resize(len(y), n_features)
    return Bunch(X=X, y=y, qid=np.asarray(qid, dtype=np.int64))
