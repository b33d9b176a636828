"""Tokenizers from files, bytes, objects, functions and vocabularies."""

from os import PathLike
from pathlib import Path

from sklrank._optional import optional_import
from sklrank._session._callable_tokenizer import CallableTokenizer
from sklrank._session._fast_tokenizer import FastTokenizer
from sklrank._session._printed_bytes import unwrapped
from sklrank._session._source import fetched
from sklrank._validation import HasMethods

# Constraints of a parameter that `open_tokenizer` opens.
TOKENIZER_FORMS = [str, PathLike, bytes, HasMethods(["encode_batch", "to_str"]), callable, None]


def open_tokenizer(tokenizer, model=None):
    """Open the tokenizer of a model.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer, path, bytes, callable or None
        Tokenizer of the model. If None, the tokenizer.json beside `model` is used, or the one in the folder above.
    model : str, default=None
        Path of the model, if it is a file.

    Returns
    -------
    FastTokenizer or CallableTokenizer
    """
    tokenizer = unwrapped(tokenizer)
    if isinstance(tokenizer, (FastTokenizer, CallableTokenizer)):
        return tokenizer
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)  # tokenizers of transformers wrap one of these
    if tokenizer is None:
        tokenizer = tokenizer_beside(model)
        if tokenizer is None and model is None:
            raise ValueError(
                "expected tokenizer= to be a tokenizers.Tokenizer, a tokenizer.json or its bytes, or a callable, got "
                "None"
            )
        if tokenizer is None:
            raise ValueError(
                f"expected a tokenizer.json beside the model {str(model)!r}, which has none: give tokenizer="
            )
    if isinstance(tokenizer, (str, Path)):
        path = Path(fetched(tokenizer))
        if not path.is_file():
            raise FileNotFoundError(f"there is no tokenizer file {str(path)!r}")
        if path.suffix == ".txt":
            raise ValueError(
                f"{str(path)!r} is a vocabulary, which does not tell how text is normalized and split. If it belongs "
                "to a WordPiece model, give tokenizer=sklrank.encoders.wordpiece_tokenizer(path, lowercase=...)"
            )
        return FastTokenizer(_parse(path.read_bytes(), f"{str(path)!r}"))
    if isinstance(tokenizer, bytes):
        return FastTokenizer(_parse(tokenizer, f"these {len(tokenizer)} bytes"))
    if hasattr(tokenizer, "to_str") and hasattr(tokenizer, "encode_batch"):
        return FastTokenizer(_parse(tokenizer.to_str().encode(), "this tokenizer"))  # a copy, whose settings change
    if callable(tokenizer):
        return CallableTokenizer(tokenizer)
    raise TypeError(
        "expected tokenizer to be a tokenizers.Tokenizer, the path or the bytes of a tokenizer.json, or a callable, "
        f"got {type(tokenizer).__name__}"
    )


def tokenizer_beside(model):
    """Return the path of the tokenizer.json beside a model, or in the folder above; None if there is none."""
    if not isinstance(model, (str, PathLike)):
        return None
    folder = Path(model).parent
    paths = (folder / "tokenizer.json", folder.parent / "tokenizer.json")
    return next((path for path in paths if path.is_file()), None)


def _parse(data, what):
    tokenizers = optional_import("tokenizers", extra="onnx")
    try:
        return tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:  # the library does not document its type
        raise ValueError(f"expected a tokenizer.json, got {what}: {error}") from None


def wordpiece_tokenizer(vocab, *, lowercase=True, strip_accents=None, unknown="[UNK]"):
    """Make the WordPiece tokenizer of a BERT model from its vocabulary.

    This is for models that have a ``vocab.txt`` and no ``tokenizer.json``. That file does not tell whether the model
    was trained on lower-cased text, so the caller must choose `lowercase`.

    Parameters
    ----------
    vocab : path or sequence of str
        Vocabulary: a file with one token per line, or the tokens. The position of a token is its id.
    lowercase : bool, default=True
        Whether to convert text to lower case.
    strip_accents : bool, default=None
        Whether to remove accents. If None, they are removed if `lowercase` is true, as in BERT.
    unknown : str, default="[UNK]"
        Token for words that the vocabulary cannot represent.

    Returns
    -------
    tokenizer : tokenizers.Tokenizer
        The tokenizer.

    Examples
    --------
    >>> from sklrank.encoders import wordpiece_tokenizer
    >>> vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heat", "flow", "##s"]
    >>> wordpiece_tokenizer(vocab).encode("Heat flows").tokens
    ['[CLS]', 'heat', 'flow', '##s', '[SEP]']
    """
    tokenizers = optional_import("tokenizers", extra="onnx")
    if isinstance(vocab, (str, Path)):
        # str.splitlines would also split tokens such as "\x85".
        vocab = [line.rstrip("\r") for line in Path(vocab).read_text(encoding="utf-8").rstrip("\n").split("\n")]
    table = {token: i for i, token in enumerate(vocab)}
    missing = [token for token in (unknown, "[CLS]", "[SEP]") if token not in table]
    if missing:
        raise ValueError(
            f"expected the vocabulary of a BERT model, got {len(table)} tokens without {', '.join(missing)}"
        )
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(table, unk_token=unknown))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", table["[SEP]"]), ("[CLS]", table["[CLS]"])
    )
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.add_special_tokens([t for t in ("[PAD]", unknown, "[CLS]", "[SEP]", "[MASK]") if t in table])
    return tokenizer
