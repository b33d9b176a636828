"""Texts to token ids: tokenizers from files, bytes, objects and callables."""

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, islice
from os import PathLike
from pathlib import Path

import numpy as np

from sklrank._optional import optional_import
from sklrank._session._printed_bytes import unwrapped
from sklrank._session._source import fetched

_PADDING = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
_NONE = np.empty(0, dtype=np.int64)

# Of a long text no more is tokenized than its first tokens need, up to a space between two words. The tokens before it
# are those of the whole text where normalizers go character by character and words are parted at spaces first of all.
_CHARACTERS = 6  # a token; most languages stay below
_SPACE = re.compile("(?<=[0-9A-Za-z]) (?=[0-9A-Za-z])")
_BY_CHARACTER = set("BertNormalizer Lowercase NFC NFD NFKC NFKD Precompiled Strip StripAccents".split())
_AT_SPACES = set("BertPreTokenizer ByteLevel Metaspace Whitespace WhitespaceSplit".split())

# Where words are parted at spaces and nothing else, as for WordPiece, each piece between two is tokenized once. The
# pieces are kept up to so many characters.
_WITHOUT_SPACES = set("BertPreTokenizer Whitespace WhitespaceSplit".split())
_KEPT = 1 << 20
_MARK = "|"


@dataclass
class Rows:
    """Token ids of texts, or of pairs of texts: what a model reads.

    Attributes
    ----------
    ids : list of ndarray of int64
        Tokens of each, special ones included.
    types : list of ndarray of int64, or None
        The token type of each token; None where all are 0.
    attended : list of int
        How many of the tokens are attended to: the first so many.
    """

    ids: list
    types: list | None
    attended: list


@dataclass(frozen=True)
class Template:
    """The special tokens around one text, or two.

    Attributes
    ----------
    parts : tuple of ndarray
        Special tokens before, between and behind the texts.
    types : tuple of int
        Token types of the parts and the texts, in their order: part, text, part[, text, part].
    """

    parts: tuple
    types: tuple

    @property
    def n_special(self):
        """How many special tokens there are."""
        return sum(map(len, self.parts))

    def fill(self, *texts):
        """Tokens of `texts`, one or two arrays, with special tokens, and token types or None."""
        pieces = [self.parts[0]]
        for text, part in zip(texts, self.parts[1:]):
            pieces += [text, part]
        ids = np.concatenate(pieces)
        if not any(self.types):
            return ids, None
        return ids, np.repeat(self.types, [len(piece) for piece in pieces])


def open_tokenizer(tokenizer, model=None):
    """The tokenizer of a model.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer, path, bytes, callable or None
        See `TextModel`; ``None``: the tokenizer.json beside `model`, or in the folder above.
    model : str, default=None
        Path of the model, where it has one.

    Returns
    -------
    FastTokenizer or CallableTokenizer
    """
    tokenizer = unwrapped(tokenizer)
    if isinstance(tokenizer, (FastTokenizer, CallableTokenizer)):
        return tokenizer
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)  # the one inside those of transformers
    if tokenizer is None:
        tokenizer = tokenizer_beside(model)
        if tokenizer is None and model is None:
            raise ValueError(
                "tokenizer= is needed: a tokenizers.Tokenizer, a tokenizer.json or its bytes, or a callable"
            )
        if tokenizer is None:
            raise ValueError(f"tokenizer= is needed: there is no tokenizer.json beside {str(model)!r}")
    if isinstance(tokenizer, (str, Path)):
        path = Path(fetched(tokenizer))
        if not path.is_file():
            raise FileNotFoundError(f"there is no tokenizer file {str(path)!r}")
        if path.suffix == ".txt":
            raise ValueError(
                f"{str(path)!r} is a vocabulary, which does not say how text is normalized and split. If it is that of "
                "a WordPiece model, say so: tokenizer=sklrank.encoders.wordpiece_tokenizer(path, lowercase=...)"
            )
        return FastTokenizer(_parse(path.read_bytes(), f"{str(path)!r}"))
    if isinstance(tokenizer, bytes):
        return FastTokenizer(_parse(tokenizer, f"these {len(tokenizer)} bytes"))
    if hasattr(tokenizer, "to_str") and hasattr(tokenizer, "encode_batch"):
        return FastTokenizer(_parse(tokenizer.to_str().encode(), "this tokenizer"))  # a copy, whose settings are ours
    if callable(tokenizer):
        return CallableTokenizer(tokenizer)
    raise TypeError(
        "tokenizer is a tokenizers.Tokenizer, the path or the bytes of a tokenizer.json, or a callable; got "
        f"{type(tokenizer).__name__}"
    )


def tokenizer_beside(model):
    """Path of the tokenizer.json beside a model, or in the folder above; None where there is none."""
    if not isinstance(model, (str, PathLike)):
        return None
    folder = Path(model).parent
    paths = (folder / "tokenizer.json", folder.parent / "tokenizer.json")
    return next((path for path in paths if path.is_file()), None)


def _parse(data, what):
    tokenizers = optional_import("tokenizers", extra="onnx")
    try:
        return tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:  # of the library's own, undocumented type
        raise ValueError(f"{what} is no tokenizer.json: {error}") from None


def wordpiece_tokenizer(vocab, *, lowercase=True, strip_accents=None, unknown="[UNK]"):
    """Make the WordPiece tokenizer of a BERT model from its vocabulary.

    For models that come with a ``vocab.txt`` but without a ``tokenizer.json``. Whether the model was trained on
    lower-cased text stands nowhere in that file, so that it has to be said.

    Parameters
    ----------
    vocab : path or sequence of str
        The file, one token a line, or the tokens; the position is the token's id.
    lowercase : bool, default=True
        Whether text is lower-cased.
    strip_accents : bool, default=None
        Whether accents are removed; ``None``: where text is lower-cased, as in BERT.
    unknown : str, default="[UNK]"
        Token of words that the vocabulary cannot spell.

    Returns
    -------
    tokenizers.Tokenizer

    Examples
    --------
    >>> from sklrank.encoders import wordpiece_tokenizer
    >>> vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heat", "flow", "##s"]
    >>> wordpiece_tokenizer(vocab).encode("Heat flows").tokens
    ['[CLS]', 'heat', 'flow', '##s', '[SEP]']
    """
    tokenizers = optional_import("tokenizers", extra="onnx")
    if isinstance(vocab, (str, Path)):
        # Not splitlines, which splits tokens such as "\x85".
        vocab = [line.rstrip("\r") for line in Path(vocab).read_text(encoding="utf-8").rstrip("\n").split("\n")]
    table = {token: i for i, token in enumerate(vocab)}
    missing = [token for token in (unknown, "[CLS]", "[SEP]") if token not in table]
    if missing:
        raise ValueError(f"the vocabulary of {len(table)} tokens lacks {', '.join(missing)}: is it that of a BERT?")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(table, unk_token=unknown))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", table["[SEP]"]), ("[CLS]", table["[CLS]"])
    )
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.add_special_tokens([t for t in ("[PAD]", unknown, "[CLS]", "[SEP]", "[MASK]") if t in table])
    return tokenizer


class FastTokenizer:
    """A `tokenizers.Tokenizer`, whose padding and truncation are left to us.

    Texts are tokenized without special tokens, cut, and put into the tokenizer's own template of special tokens; so a
    query is tokenized once however many documents it is paired with, and what is cut is our choice.

    Attributes
    ----------
    n_tokens : int
        Size of the vocabulary.
    n_own : int
        Without tokens that were added to it, of which a model may know nothing.
    n_padded : int
        Rows that a model may have for them at most: tables of embeddings are padded, for speed.
    pad : int
        Id of the token that fills up short rows.
    single, pair : Template
    """

    def __init__(self, tokenizer):
        padding = tokenizer.padding
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)  # without offsets
        self.n_tokens = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        self.n_own = max(tokenizer.get_vocab(with_added_tokens=False).values(), default=-1) + 1
        self.n_padded = max(-(-self.n_tokens // 64) * 64, int(1.03 * self.n_tokens))
        known = (token for token in _PADDING if tokenizer.token_to_id(token) is not None)
        self.pad = padding["pad_id"] if padding else tokenizer.token_to_id(next(known, "")) or 0
        self.single, self.pair = self._template(1), self._template(2)
        self._parts_words, self._parts_pieces = _parts_words(tokenizer)
        self._pieces, self._n_characters = {}, 0

    def _template(self, n_texts):
        """The special tokens around `n_texts` texts, read off an encoding."""
        for probe in ("a", "the", "1", *(t for t in self._tokenizer.get_vocab() if t.isalnum())):
            encoding = self._tokenizer.encode(*[probe] * n_texts)
            sequences = encoding.sequence_ids
            if all(i in sequences for i in range(n_texts)):
                break
        else:
            raise ValueError("the tokenizer makes no token of any word of its vocabulary")
        parts, types, position = [], [], 0
        for i in range(n_texts):
            start = sequences.index(i)
            stop = len(sequences) - sequences[::-1].index(i)
            parts.append(np.array(encoding.ids[position:start], dtype=np.int64))
            types += [encoding.type_ids[position] if start > position else 0, encoding.type_ids[start]]
            position = stop
        parts.append(np.array(encoding.ids[position:], dtype=np.int64))
        types.append(encoding.type_ids[-1] if len(parts[-1]) else 0)
        return Template(tuple(parts), tuple(types))

    @property
    def normalizer(self):
        """What is done to a text first, None where nothing is."""
        return self._tokenizer.normalizer

    @property
    def fingerprint(self):
        """Hash of all that it does."""
        return hashlib.blake2b(self._tokenizer.to_str().encode(), digest_size=16).hexdigest()

    def token_id(self, token):
        """Id of a token, None where there is none."""
        return self._tokenizer.token_to_id(token)

    def tokens(self):
        """All tokens, in the order of their ids; those that are missing are empty."""
        names = [""] * self.n_tokens
        for token, i in self._tokenizer.get_vocab(with_added_tokens=True).items():
            names[i] = token
        return names

    def encode(self, texts, limit=None):
        """Token ids of each text, without special tokens, the first `limit`."""
        if limit is None or not self._parts_words:
            return self._ids(texts, limit)
        heads = [_head(text, limit * _CHARACTERS) for text in texts]
        found = self._ids(heads, limit)
        more = [i for i, head in enumerate(heads) if len(head) < len(texts[i]) and len(found[i]) < limit]
        for i, ids in zip(more, self._ids([texts[i] for i in more], limit)):
            found[i] = ids
        return found

    def _ids(self, texts, limit):
        if not self._parts_pieces:
            encodings = self._encode(texts, add_special_tokens=False)
            return [np.array(encoding.ids[:limit], dtype=np.int64) for encoding in encodings]
        if self._n_characters > _KEPT:
            self._pieces, self._n_characters = {}, 0  # other threads go on with theirs
        known = self._pieces
        pieces = [text.split(" ") for text in texts]
        missing = list(set(chain.from_iterable(pieces)).difference(known))
        if missing:
            known.update(zip(missing, self._ids_of_pieces(missing)))
            self._n_characters += sum(map(len, missing))
        ids = (islice(chain.from_iterable(map(known.__getitem__, one)), limit) for one in pieces)
        return [np.fromiter(one, dtype=np.int64) for one in ids]

    def _ids_of_pieces(self, pieces):
        """Token ids of pieces without spaces: of all at once, with a token between two that none of them has."""
        mark = self._tokenizer.token_to_id(_MARK)
        (joined,) = self._encode([f" {_MARK} ".join(pieces)], add_special_tokens=False)
        ids = joined.ids
        ends = [i for i, token in enumerate(ids) if token == mark]
        if len(ends) == len(pieces) - 1 and mark is not None:
            bounds = [-1, *ends, len(ids)]
            return [ids[i + 1 : j] for i, j in zip(bounds, bounds[1:])]
        return [encoding.ids for encoding in self._encode(pieces, add_special_tokens=False)]

    def spans(self, texts):
        """First and last character, and one, of each token of each text, without special tokens."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]

    def rows(self, texts, max_length, template=None):
        """Single texts as rows, cut to `max_length` tokens."""
        template = template or self.single
        filled = [template.fill(ids) for ids in self.encode(texts, max(max_length - template.n_special, 0))]
        return _rows(filled)

    def pair_maker(self, first, second, max_length, max_first=None):
        """Function from indices of pairs of texts to rows, in which the second text is cut where the row is too long.

        Equal first texts, the queries, are tokenized once, and so are equal second ones.

        Parameters
        ----------
        first, second : list of str
        max_length : int
            Most tokens of a row.
        max_first : int, default=None
            Most tokens of a first text; ``None``: half of the row.

        Returns
        -------
        callable
        """
        room = max(max_length - self.pair.n_special, 0)
        max_first = room // 2 if max_first is None else min(max_first, room)
        queries = list(dict.fromkeys(first))
        tokens = dict(zip(queries, self.encode(queries)))
        long = [query for query, ids in tokens.items() if len(ids) > max_first]
        if long:
            warnings.warn(
                f"{len(long)} of {len(queries)} queries are longer than {max_first} tokens, half of max_length, and "
                f"were cut: {long[0][:40]!r}… A greater max_length keeps them whole, where the model has room",
                UserWarning,
                stacklevel=4,
            )
            tokens.update((query, tokens[query][:max_first]) for query in long)
        documents = {}

        def make(indices):
            missing = list({second[i]: None for i in indices if second[i] not in documents})
            documents.update(zip(missing, self.encode(missing, room)))
            return _rows(
                [self.pair.fill(query := tokens[first[i]], documents[second[i]][: room - len(query)]) for i in indices]
            )

        return make


def _parts_words(tokenizer):
    """How far tokens depend on what stands around them.

    Returns
    -------
    words : bool
        Whether the tokens up to a space between two words depend on nothing behind it.
    pieces : bool
        Whether the tokens between two spaces depend on nothing else.
    """

    def steps(component):
        state = {} if component is None else json.loads(component.__getstate__())
        return state.get("normalizers") or state.get("pretokenizers") or [state]

    first, *others = steps(tokenizer.pre_tokenizer)
    words = (
        first.get("type") in _AT_SPACES
        and first.get("use_regex", True)
        and first.get("split", True)
        and all(step.get("type") in {None, *_BY_CHARACTER} for step in steps(tokenizer.normalizer))
        and not any(" " in token.content for token in tokenizer.get_added_tokens_decoder().values())
    )
    wordpiece = type(tokenizer.model).__name__ == "WordPiece"
    return words, words and wordpiece and not others and first["type"] in _WITHOUT_SPACES


def _head(text, n_characters):
    """The text up to the first space between two words behind so many characters."""
    space = _SPACE.search(text, n_characters)
    return text[: space.start()] if space else text


class CallableTokenizer:
    """Any function from texts to token ids.

    Parameters
    ----------
    function : callable
        ``function(texts)`` and, for pairs, ``function(first, second)`` give one sequence of token ids a text or pair,
        with special tokens; or a mapping with ``"input_ids"`` and, possibly, ``"token_type_ids"`` and
        ``"attention_mask"``, by which padding is left out.
    """

    n_tokens = single = None
    pad = 0

    def __init__(self, function):
        self._function = function

    @property
    def fingerprint(self):
        """Of a function nothing is known."""
        return None

    def rows(self, texts, max_length, template=None):
        """Single texts as rows."""
        return self._checked(self._function(list(texts)), len(texts), max_length)

    def pair_maker(self, first, second, max_length, max_first=None):
        """Function from indices of pairs of texts to rows; to cut them is up to the tokenizer."""

        def make(indices):
            texts = [first[i] for i in indices], [second[i] for i in indices]
            return self._checked(self._function(*texts), len(indices), max_length)

        return make

    def _checked(self, output, n, max_length):
        types = mask = None
        if isinstance(output, Mapping):
            types, mask = output.get("token_type_ids"), output.get("attention_mask")
            output = output["input_ids"]
        ids = [np.asarray(row, dtype=np.int64) for row in output]
        if len(ids) != n or any(row.ndim != 1 for row in ids):
            raise ValueError(f"the tokenizer was given {n} texts, and gave no {n} sequences of token ids")
        types = None if types is None else [np.asarray(row, dtype=np.int64) for row in types]
        if mask is not None:
            lengths = [_n_attended(row, len(of), i) for i, (row, of) in enumerate(zip(mask, ids, strict=True))]
            ids = [row[:length] for row, length in zip(ids, lengths)]
            types = types and [row[:length] for row, length in zip(types, lengths)]
        longest = max(map(len, ids), default=0)
        if longest > max_length:
            raise ValueError(
                f"the tokenizer gave {longest} tokens of text {max(range(n), key=lambda i: len(ids[i]))}, and "
                f"max_length is {max_length}: a callable cuts texts itself, for only it knows which are special"
            )
        return Rows(ids, types, [len(row) for row in ids])


def _n_attended(mask, n_tokens, i):
    """How many tokens of text `i` the mask keeps, which must be the first ones."""
    mask = np.asarray(mask)
    length = np.count_nonzero(mask)
    if mask.shape != (n_tokens,) or not mask[:length].all():
        raise ValueError(
            f"the attention_mask that the tokenizer gave for text {i} keeps other tokens than the first {length} of "
            f"{n_tokens}: pad at the end, or not at all"
        )
    return length


def _rows(filled):
    ids = [row for row, _ in filled]
    types = [row for _, row in filled] if filled and filled[0][1] is not None else None
    return Rows(ids, types, [len(row) for row in ids])
