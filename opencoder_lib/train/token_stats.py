"""What a tokenizer does to a corpus, in numbers. Axes: N tokens, V vocabulary, D documents, W windows, T positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers import Tokenizer

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.tokenizer import SPECIAL, encode

# White space that would be invisible between two bars.
VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥"})


def count_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """The number of tokens of each text, its end token not counted."""
    return [len(ids) for ids in encode(texts, tokenizer)]


def spell(text: str, tokenizer: Tokenizer) -> list[str]:
    """The tokens of a text as a reader can tell them apart: a dot for a space, a bent arrow for a line end.

    A token that holds part of a character is shown as its bytes.
    """
    return [_readable(number, tokenizer) for number in encode([text], tokenizer)[0]]


def longest_tokens(tokenizer: Tokenizer, num_tokens: int) -> list[str]:
    """The `num_tokens` longest tokens in characters, the first learnt of equals first, as `spell` writes them."""
    special = {tokenizer.token_to_id(token) for token in SPECIAL}
    ids = [number for number in range(tokenizer.get_vocab_size()) if number not in special]
    # A token's name has one character a byte, whatever the bytes mean.
    ids.sort(key=lambda number: (-len(tokenizer.id_to_token(number)), number))
    return [_readable(number, tokenizer) for number in ids[:num_tokens]]


def _readable(number: int, tokenizer: Tokenizer) -> str:
    text = tokenizer.decode([number], skip_special_tokens=False)
    if "\ufffd" in text:
        alphabet = _byte_of()
        return "".join(f"\\x{alphabet[sign]:02x}" for sign in tokenizer.id_to_token(number))
    return text.translate(VISIBLE)


@cache
def _byte_of() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for: GPT-2's table."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


@dataclass(frozen=True)
class Spelling:
    """How texts come out of a tokenizer.

    bytes_per_token: the more, the more text fits a window. tokens_per_piece: "fertility", tokens for each name, number
    or run of signs, at least 1. frac_pieces_whole: share of those that are one token. frac_vocabulary_used: share of
    the tokens that could occur and do. bits_per_token: entropy of the token frequencies, at most log2 of the
    vocabulary; divided by bytes_per_token it is what a model that knows only frequencies needs a byte.
    """

    bytes_per_token: float
    tokens_per_piece: float
    frac_pieces_whole: float
    frac_vocabulary_used: float
    bits_per_token: float


def describe(texts: Sequence[str], tokenizer: Tokenizer) -> Spelling:
    """The numbers of `Spelling` for these texts, ends of documents not counted. Raises ConfigError without text."""
    ids_N = np.array([number for ids in encode(texts, tokenizer) for number in ids], np.int64)
    if not len(ids_N):
        raise ConfigError(f"There is nothing to count: {len(texts)} texts and no token in them.")
    lengths = _tokens_of_pieces(texts, tokenizer)
    counts_V = np.bincount(ids_N, minlength=tokenizer.get_vocab_size())
    share = counts_V[counts_V > 0] / len(ids_N)
    return Spelling(
        bytes_per_token=sum(len(text.encode()) for text in texts) / len(ids_N),
        tokens_per_piece=float(lengths.mean()),
        frac_pieces_whole=float((lengths == 1).mean()),
        # Text cannot write a control token, so those cannot occur.
        frac_vocabulary_used=float((counts_V > 0).sum() / (len(counts_V) - len(SPECIAL))),
        bits_per_token=float(-(share * np.log2(share)).sum()),
    )


def _tokens_of_pieces(texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """The number of tokens of every piece of the texts that no token crosses."""
    known: dict[str, int] = {}
    lengths = []
    for text in texts:
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text):
            if piece not in known:
                known[piece] = len(tokenizer.model.tokenize(piece))
            lengths.append(known[piece])
    return np.array(lengths)


@dataclass(frozen=True)
class Borders:
    """How windows of `length` tokens cut a packed corpus, and what a document mask would change.

    frac_windows_with_border: windows that hold parts of more than one document. frac_documents_cut: documents that lie
    in more than one window. frac_tokens_mixed: tokens that can look back into another document.
    frac_pairs_across: pairs of a token and one it may attend to that belong to different documents.
    """

    length: int
    num_windows: int
    frac_windows_with_border: float
    frac_documents_cut: float
    frac_tokens_mixed: float
    frac_pairs_across: float


def borders(starts_D: np.ndarray, num_tokens: int, length: int) -> Borders:
    """Count what `Borders` says, for documents that begin at `starts_D` in a row of `num_tokens` tokens.

    Only whole windows count; an end token belongs to the document it ends. Raises ConfigError when there is none.
    """
    windows = (num_tokens - 1) // length
    if length < 1 or windows < 1:
        raise ConfigError(f"{num_tokens:,} tokens do not fill one window of {length} + 1.")
    starts_D = np.asarray(starts_D).astype(np.int64)
    lasts_D = np.append(starts_D[1:], num_tokens) - 1
    inside = starts_D[starts_D < windows * length]
    cuts = np.union1d(inside, np.arange(windows) * length)
    parts = np.diff(cuts, append=windows * length)
    first = cuts % length == 0
    pairs = (parts * (parts + 1) // 2).sum() / (windows * (length * (length + 1) // 2))
    return Borders(
        length=length,
        num_windows=int(windows),
        frac_windows_with_border=len(np.unique(cuts[~first] // length)) / windows,
        frac_documents_cut=float((starts_D // length != lasts_D // length).mean()),
        frac_tokens_mixed=float(parts[~first].sum() / (windows * length)),
        frac_pairs_across=float(1 - pairs),
    )
