"""Reads models in the GGUF format with NumPy alone: what the file says of itself, and its tensors as float32.

Only what plain and simply quantised files need: numbers as they are, and blocks of 32 weights that share a scale (and,
in the *_1 kinds, a smallest value). Such weights are exact here: the same numbers that llama.cpp computes with.
Format: the public GGUF specification, version 3; integers and floats are little-endian.
"""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opencoder_lib.errors import CorruptArtifact

BLOCK = 32  # weights that share a scale
# Codes of the value types of metadata; 8 is a string, 9 an array of one of the others.
SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Gguf:
    """An opened file: its metadata by key, and its tensors by name, each ready to be read."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, "Stored"]
    data: memoryview

    def tensor(self, name: str) -> np.ndarray:
        """The tensor called `name` in float32, rows first as in torch. Raises CorruptArtifact if it is not there."""
        if name not in self.tensors:
            raise CorruptArtifact(f"{self.path.name} has no tensor {name!r}.")
        stored = self.tensors[name]
        count = int(np.prod(stored.shape))
        if stored.kind not in KINDS:
            raise CorruptArtifact(
                f"{self.path.name}: {name} is stored as kind {stored.kind}; this reader knows "
                f"{', '.join(f'{kind} ({about.name})' for kind, about in KINDS.items())}."
            )
        kind = KINDS[stored.kind]
        if stored.offset + count // kind.block_weights * kind.block.itemsize > len(self.data):
            raise CorruptArtifact(f"{self.path.name} ends within the tensor {name!r}: it was cut off.")
        blocks = np.frombuffer(self.data, kind.block, count // kind.block_weights, stored.offset)
        return kind.weights(blocks).reshape(stored.shape)


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies. shape: rows first; offset: bytes from the start of the file."""

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Kind:
    """How weights are stored: the layout of one block, and what its numbers mean."""

    name: str
    block: np.dtype
    weights: Callable[[np.ndarray], np.ndarray]
    block_weights: int = BLOCK


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """Two weights a byte: the first half of a block in the low bits, the second in the high bits."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _scaled(blocks: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return whole.astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]


SCALE, LEAST = ("scale", "<f2"), ("least", "<f2")
KINDS = {
    0: Kind("F32", np.dtype("<f4"), lambda values: values.astype(np.float32), 1),
    1: Kind("F16", np.dtype("<f2"), lambda values: values.astype(np.float32), 1),
    2: Kind(
        "Q4_0", np.dtype([SCALE, ("packed", "u1", 16)]), lambda b: _scaled(b, _nibbles(b["packed"]).astype(np.int8) - 8)
    ),
    3: Kind(
        "Q4_1",
        np.dtype([SCALE, LEAST, ("packed", "u1", 16)]),
        lambda b: _scaled(b, _nibbles(b["packed"])) + b["least"].astype(np.float32)[:, None],
    ),
    8: Kind("Q8_0", np.dtype([SCALE, ("whole", "i1", BLOCK)]), lambda b: _scaled(b, b["whole"])),
}


def open_gguf(path: Path) -> Gguf:
    """The model file at `path`, mapped, not read. Raises CorruptArtifact if it is not GGUF or was cut off."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        return _parse(path, data)
    except (struct.error, ValueError, KeyError) as error:
        raise CorruptArtifact(f"{path.name} is not a whole GGUF file: {error}") from None


def _parse(path: Path, data: memoryview) -> Gguf:
    read = _Cursor(data)
    magic, version = bytes(read.take(4)), read.number("I")
    if magic != b"GGUF" or version not in (2, 3):
        raise CorruptArtifact(f"{path.name} is no GGUF file of version 2 or 3 (starts with {magic!r}, {version}).")
    num_tensors, num_keys = read.number("Q"), read.number("Q")
    metadata = {read.text(): read.value(read.number("I")) for _ in range(num_keys)}
    about = []
    for _ in range(num_tensors):
        name, rank = read.text(), read.number("I")
        # The file counts the fastest axis first; NumPy and torch count it last.
        shape = tuple(read.number("Q") for _ in range(rank))[::-1]
        about.append((name, shape, read.number("I"), read.number("Q")))
    step = metadata.get("general.alignment", 32)
    start = -(-read.place // step) * step
    tensors = {name: Stored(shape, kind, start + offset) for name, shape, kind, offset in about}
    return Gguf(path, metadata, tensors, data)


class _Cursor:
    """Reads values one after the other."""

    def __init__(self, data: memoryview):
        self.data, self.place = data, 0

    def take(self, count: int) -> memoryview:
        if self.place + count > len(self.data):
            raise struct.error(f"it ends at byte {len(self.data):,}, in the middle of its description")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        return str(self.take(self.number("Q")), "utf-8")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.number(SCALARS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner == STRING:
            return [self.text() for _ in range(count)]
        code = f"{count}{SCALARS[inner]}"
        return list(struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}"))))
