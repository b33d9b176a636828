"""ColumnSource: a column that stands outside, and is read when it is needed."""

from abc import ABC, abstractmethod

import numpy as np


class ColumnSource(ABC):
    """Base of columns that stand outside of a corpus, in a file or a database, and are read when they are needed.

    A subclass gives ``__len__`` and `take`. It is added to a corpus by `Corpus.with_columns`, and its values are in the
    order of the documents. The whole column is read only by ``corpus[name]`` and by what needs every document, such as
    an index, and is then kept within `cache_limit`. To show some documents, only these are read.

    Attributes
    ----------
    kind : {"text", "numbers", "objects", "vectors", "sparse vectors", "token vectors"}
        What the column holds, known without reading it.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> from sklrank.data import ColumnSource, StringArray
    >>> class Shouted(ColumnSource):
    ...     kind = "text"
    ...
    ...     def __init__(self, texts):
    ...         self.texts = texts
    ...
    ...     def __len__(self):
    ...         return len(self.texts)
    ...
    ...     def take(self, rows):
    ...         return StringArray.from_strings([self.texts[row].upper() for row in rows.tolist()])
    >>> corpus = Corpus({"a": "heat", "b": "cold"}).with_columns(text=Shouted(["heat", "cold"]))
    >>> corpus.text(rows=[1]).tolist()
    ['COLD']
    """

    kind = "text"

    @abstractmethod
    def __len__(self):
        """Return the number of documents."""

    @abstractmethod
    def take(self, rows):
        """Return the values of some documents.

        Parameters
        ----------
        rows : ndarray of int64, shape (n_chosen,)

        Returns
        -------
        column of length n_chosen
            A StringArray for text, an ndarray for numbers, objects and vectors, a csr_array for sparse vectors, or
            TokenVectors.
        """

    def read(self):
        """Return the whole column.

        Returns
        -------
        column
        """
        return self.take(np.arange(len(self), dtype=np.int64))
