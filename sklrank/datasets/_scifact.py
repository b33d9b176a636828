"""SciFact, a collection that is part of the package."""

from pathlib import Path

from sklrank._caching import Recent
from sklrank.datasets._beir import read_corpus, read_split

_FOLDER = Path(__file__).parent / "data" / "scifact"
_SUBSETS = ("test", "train")
_CORPUS = Recent(1)


def load_scifact(subset="test"):
    """Load SciFact: scientific claims, and the abstracts that hold evidence for or against them.

    There are 5 183 abstracts, and 300 claims with 339 judgments (test) or 809 claims with 919 judgments (train), as in
    BEIR. The files are part of the package. ``DESCR`` names their licences and authors.

    Parameters
    ----------
    subset : {"test", "train"}, default="test"
        Name of the split.

    Returns
    -------
    data : Bunch
        ``corpus`` (Corpus with the columns title and text), ``queries`` (Queries), ``qrels`` (Qrels) and ``DESCR``
        (str). The judgments at position i are those of query i. All calls return the same corpus object, so that, for
        example, it is indexed only once.

    See Also
    --------
    read_beir : Read other collections of this format.

    References
    ----------
    .. [1] D. Wadden, S. Lin, K. Lo, L. L. Wang, M. van Zuylen, A. Cohan, H. Hajishirzi: "Fact or Fiction: Verifying
       Scientific Claims", EMNLP 2020.

    Examples
    --------
    >>> from sklrank.datasets import load_scifact
    >>> data = load_scifact()
    >>> data.corpus
    <Corpus: 5183 documents, columns title, text>
    >>> len(data.queries), len(data.qrels)
    (300, 300)
    >>> data.queries.texts[0]
    '0-dimensional biomaterials show inductive properties.'
    """
    if subset not in _SUBSETS:
        raise ValueError(f"subset must be 'test' or 'train', got {subset!r}")
    data = read_split(_FOLDER, _CORPUS.get("scifact", lambda: read_corpus(_FOLDER)), subset)
    data.DESCR = (_FOLDER / "ATTRIBUTION.rst").read_text(encoding="utf-8")
    return data
