"""Documents to one long row of tokens, in memory or in a file that is read where it lies. Axes: N tokens, D documents.

A token file is one safetensors file: `tokens`, `starts` (the place of the first token of each document) and what made
them. It is written in bounded memory and read through a memory map, so a corpus may be larger than memory.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from tokenizers import Tokenizer

from opencoder_lib.errors import ConfigError, CorruptArtifact, InputError
from opencoder_lib.train.tokenizer import END, encode, fingerprint
from opencoder_lib.train.windows import Source, as_source, batch, cut_windows, document_positions, num_windows

__all__ = [
    "Source",
    "TokenFile",
    "as_source",
    "batch",
    "document_positions",
    "num_windows",
    "open_tokens",
    "pack",
    "unpack",
    "write_tokens",
]

# Enough to keep all threads of the tokenizer busy, little enough to keep in memory.
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 1_024, 8_000_000
# Bytes kept free at the start for the length and the header, which is known only when the last token is written.
HEADER_BYTES = 4_096
LITTLE_ENDIAN = {"U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"}


def token_dtype(vocab_size: int) -> type:
    """The smallest unsigned integer that holds every id: two bytes up to 65,536 tokens, else four."""
    return np.uint16 if vocab_size <= 2**16 else np.uint32


def encode_in_pieces(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the packed row a bounded number of texts at a time: its tokens, and how many each document has.

    Each document is followed by the end token, which counts as its last.
    """
    end = tokenizer.token_to_id(END)
    dtype = token_dtype(tokenizer.get_vocab_size())
    for some in _portions(texts):
        documents = encode(some, tokenizer)
        lengths = np.fromiter((len(document) + 1 for document in documents), np.int64, len(documents))
        ids = chain.from_iterable((*document, end) for document in documents)
        yield np.fromiter(ids, dtype, int(lengths.sum())), lengths


def _portions(texts: Iterable[str]) -> Iterator[list[str]]:
    some, characters = [], 0
    for text in texts:
        some.append(text)
        characters += len(text)
        if len(some) == TEXTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield some
            some, characters = [], 0
    if some:
        yield some


def pack(texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """All documents in order, each followed by the end token: (N,) uint16, or uint32 for a large vocabulary.

    Documents are not masked from each other, which matches the paper's full attention over chunks as far as it says.
    `write_tokens` does the same for a corpus that does not fit into memory.
    """
    empty = np.empty(0, token_dtype(tokenizer.get_vocab_size()))
    return np.concatenate([empty, *(tokens for tokens, _ in encode_in_pieces(texts, tokenizer))])


def unpack(tokens: np.ndarray, tokenizer: Tokenizer) -> list[str]:
    """The documents again: the inverse of `pack`."""
    ends = np.flatnonzero(tokens == tokenizer.token_to_id(END))
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else []
    return tokenizer.decode_batch([tokens[a:b].tolist() for a, b in zip(starts, ends, strict=True)])


@dataclass(frozen=True)
class About:
    """What a token file says about itself: numbers, hashes of the tokenizer and of the tokens."""

    vocab_size: int
    end: int
    num_documents: int
    num_bytes: int
    num_refused: int
    tokenizer: str
    fingerprint: str


@dataclass(frozen=True, eq=False)
class TokenFile:
    """A packed corpus on disk: a source of windows, and its documents one by one.

    `about.num_refused` counts texts that have no UTF-8 form (a lone surrogate) and were left out.
    """

    path: Path
    tokens: np.ndarray
    starts: np.ndarray
    about: About

    @property
    def num_tokens(self) -> int:
        """Tokens it holds, the end of each document included."""
        return len(self.tokens)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tokens, taken when they were written; `verify` takes it again."""
        return self.about.fingerprint

    @property
    def lengths_D(self) -> np.ndarray:
        """Tokens of each document, its end token included: (D,) int64."""
        return np.diff(self.starts.astype(np.int64), append=self.num_tokens)

    def windows(self, places: np.ndarray, seed: int, length: int) -> np.ndarray:
        """The windows at these places of a run: (B, length + 1) int64."""
        return cut_windows(self.tokens, places, seed, length)

    def document(self, number: int) -> np.ndarray:
        """The tokens of one document without its end token."""
        start = int(self.starts[number])
        return self.tokens[start : start + int(self.lengths_D[number]) - 1]

    def verify(self) -> "TokenFile":
        """Itself, once all tokens have been read and their hash is the one written down. Raises CorruptArtifact."""
        found = sha256()
        for start in range(0, self.num_tokens, CHARACTERS_AT_ONCE):
            found.update(self.tokens[start : start + CHARACTERS_AT_ONCE].tobytes())
        if found.hexdigest() != self.fingerprint:
            raise CorruptArtifact(f"The tokens in {self.path.name} are not those that were written. Write it again.")
        return self


def write_tokens(texts: Iterable[str], tokenizer: Tokenizer, path: Path) -> TokenFile:
    """Pack `texts` into a token file and open it; the file appears under its name only when it is whole.

    texts: read once, in order; only some are in memory at a time. Texts without a UTF-8 form are left out and
    counted. Raises ConfigError when no text is left.
    """
    path = Path(path)
    seen = {"bytes": 0, "refused": 0}
    digest, num_documents, num_tokens = sha256(), 0, 0
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file, TemporaryFile(dir=path.parent) as starts:
            file.write(bytes(HEADER_BYTES))
            for tokens, lengths in encode_in_pieces(_countable(texts, seen), tokenizer):
                first = num_tokens + np.concatenate([[0], lengths.cumsum()[:-1]])
                starts.write(first.astype("<u8").tobytes())
                data = tokens.astype(tokens.dtype.newbyteorder("<")).tobytes()
                digest.update(data)
                file.write(data)
                num_documents, num_tokens = num_documents + len(lengths), num_tokens + len(tokens)
            if not num_documents:
                raise ConfigError(
                    f"There is no text to tokenise for {path.name} (0 documents, {seen['refused']} refused)."
                )
            # The starts take eight bytes each and must begin at a multiple of eight for readers that map them.
            file.write(bytes(-file.tell() % 8))
            starts.seek(0)
            shutil.copyfileobj(starts, file)
            vocab_size, end = tokenizer.get_vocab_size(), tokenizer.token_to_id(END)
            made = (num_documents, seen["bytes"], seen["refused"], fingerprint(tokenizer), digest.hexdigest())
            file.seek(0)
            file.write(_header(About(vocab_size, end, *made), num_tokens))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return open_tokens(path)


def _countable(texts: Iterable[str], seen: dict[str, int]) -> Iterator[str]:
    """The texts that have a UTF-8 form; `seen` grows by their bytes and by the number of the others."""
    for text in texts:
        try:
            seen["bytes"] += len(text.encode())
        except UnicodeEncodeError:
            seen["refused"] += 1
        else:
            yield text


def _header(about: About, num_tokens: int) -> bytes:
    code = {np.uint16: "U16", np.uint32: "U32"}[token_dtype(about.vocab_size)]
    sizes = {
        "tokens": (code, num_tokens),
        "padding": ("U8", -num_tokens * np.dtype(LITTLE_ENDIAN[code]).itemsize % 8),
        "starts": ("U64", about.num_documents),
    }
    header, offset = {"__metadata__": {name: str(value) for name, value in asdict(about).items()}}, 0
    for name, (kind, size) in sizes.items():
        stop = offset + size * np.dtype(LITTLE_ENDIAN[kind]).itemsize
        header[name] = {"dtype": kind, "shape": [size], "data_offsets": [offset, stop]}
        offset = stop
    text = json.dumps(header).encode()
    # The format allows spaces after the header: they fill what was kept free.
    return (HEADER_BYTES - 8).to_bytes(8, "little") + text.ljust(HEADER_BYTES - 8)


def open_tokens(path: Path, tokenizer: Tokenizer | None = None) -> TokenFile:
    """The token file at `path`, mapped and not read: opening a terabyte takes no longer than opening a page.

    tokenizer: when given, it must be the one that wrote the file (ConfigError). Raises InputError when there is no
    file, CorruptArtifact when it is not a whole token file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no token file {path}. Make it with write_tokens().")
    size = path.stat().st_size
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        head = file.read(header_bytes) if header_bytes < size else b""
    try:
        header = json.loads(head)
        said = header["__metadata__"]
        about = About(**{name: kind(said[name]) for name, kind in About.__annotations__.items()})
        last = max(part["data_offsets"][1] for name, part in header.items() if name != "__metadata__")
        tokens, starts = header["tokens"], header["starts"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CorruptArtifact(f"{path.name} is no token file: its header does not say so. Write it again.") from None
    whole = 8 + header_bytes + last
    if size != whole:
        raise CorruptArtifact(f"{path.name} is not whole: it has {size:,} bytes and should have {whole:,}.")
    if tokenizer is not None and fingerprint(tokenizer) != about.tokenizer:
        raise ConfigError(
            f"{path.name} was written with another tokenizer ({about.vocab_size:,} tokens, {about.tokenizer[:12]}) "
            f"than the one given ({tokenizer.get_vocab_size():,} tokens, {fingerprint(tokenizer)[:12]}). "
            "Tokenise the texts again."
        )
    mapped = [_map(path, part, 8 + header_bytes) for part in (tokens, starts)]
    return TokenFile(path, *mapped, about)


def _map(path: Path, part: dict, data_start: int) -> np.ndarray:
    offset = data_start + part["data_offsets"][0]
    found = np.memmap(path, LITTLE_ENDIAN[part["dtype"]], "r", offset, tuple(part["shape"]))
    # A plain view: slices of the map's own class cost twice as much and mean the same.
    return found.view(np.ndarray)
