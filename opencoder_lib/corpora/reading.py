"""Reading files that nobody vouches for: any size, any bytes, any name, any kind of directory entry.

A file that cannot become text still gets its row, with the reason in `removed_by`, so that a funnel starts at what
was found. What is no file at all (a link, a pipe, a folder that cannot be listed) is counted in `Collection.skipped`.
"""

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from opencoder_lib import MB

MAX_BYTES = 8 * MB
SNIFF_BYTES = 8192


@dataclass(frozen=True)
class Collection:
    """What a source found.

    files: the file frame. skipped: one row per kind of entry that got no row: `what`, `n`, `example`.
    repos: one row per repository with at least `repo`, `n_files`, `n_bytes`. notes: what could not be learnt about
    repositories, as `skipped`.
    """

    files: pl.DataFrame
    skipped: pl.DataFrame
    repos: pl.DataFrame
    notes: pl.DataFrame = field(default_factory=lambda: Notes().frame())


class Notes:
    """What could not be learnt, by a sentence that begins with what is counted: 'repository without commits'."""

    def __init__(self):
        self._found: dict[str, dict[str, int]] = {}

    def note(self, what: str, where: str, n: int = 1) -> None:
        """It holds for `n` things at `where`. Said again of the same place, it counts once."""
        self._found.setdefault(what, {})[where] = n

    def counts(self) -> Counter:
        """How many things each sentence is true of."""
        return Counter({what: sum(places.values()) for what, places in self._found.items()})

    def frame(self) -> pl.DataFrame:
        """One row per sentence: `what`, `n`, and the first place as `example`."""
        rows = [(what, sum(places.values()), min(places)) for what, places in sorted(self._found.items())]
        return pl.DataFrame(rows, schema={"what": pl.String, "n": pl.Int64, "example": pl.String}, orient="row")


@dataclass(frozen=True)
class Read:
    """One file's text, or null with the reason it has none."""

    text: str | None
    n_bytes: int
    removed_by: str | None = None


class NotAFile(Exception):
    """The entry is a link, pipe, socket or device: `args[0]` says which. It has not been opened."""


def decode(data: bytes, max_bytes: int = MAX_BYTES) -> Read:
    """The text of `data`, or the reason there is none: its size, a NUL byte (binary), or bad UTF-8 (undecodable)."""
    if len(data) > max_bytes:
        return Read(None, len(data), "preprocess.too_large")
    if b"\0" in data:
        return Read(None, len(data), "preprocess.binary")
    try:
        return Read(data.decode("utf-8"), len(data))
    except UnicodeDecodeError:
        return Read(None, len(data), "preprocess.undecodable")


def read_file(path: str | bytes | Path, max_bytes: int = MAX_BYTES) -> Read:
    """Read a regular file of at most `max_bytes`; a larger one is not read, a binary one only up to its first NUL.

    Never follows a link and never opens what is not a regular file. Raises NotAFile for those.
    """
    try:
        entry = os.lstat(path)
    except OSError:
        return Read(None, 0, "preprocess.unreadable")
    if not stat.S_ISREG(entry.st_mode):
        raise NotAFile(_kind(entry.st_mode))
    if entry.st_size > max_bytes:
        return Read(None, entry.st_size, "preprocess.too_large")
    try:
        with open(path, "rb") as stream:
            head = stream.read(SNIFF_BYTES)
            if b"\0" in head:
                return Read(None, entry.st_size, "preprocess.binary")
            # One byte more than allowed: a file may grow, or hold more than its size says.
            data = head + stream.read(max_bytes + 1 - len(head))
    except OSError:
        return Read(None, entry.st_size, "preprocess.unreadable")
    return decode(data, max_bytes)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "named pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
        stat.S_IFDIR: "folder",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")


def file_row(read: Read, **where) -> dict:
    """A row for `files.new_files`: what was read, and `where` it was found (origin, repo, path, ...)."""
    too_large = read.removed_by == "preprocess.too_large"
    return where | {
        "text": read.text,
        "n_bytes": read.n_bytes,
        "removed_by": read.removed_by,
        "measured": float(read.n_bytes) if too_large else None,
    }


def printable_path(path: str | bytes) -> str:
    """The path as UTF-8 text; bytes that are not are written as \\xNN, so an id made from it never changes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def skipped_frame(found: list[tuple[str, str]]) -> pl.DataFrame:
    """Count (what, example) pairs: one row per `what` with `n` and the first example."""
    frame = pl.DataFrame(found, schema={"what": pl.String, "example": pl.String}, orient="row")
    return frame.group_by("what").agg(n=pl.len().cast(pl.Int64), example=pl.col("example").min()).sort("what")


def reading_report(files: pl.DataFrame) -> pl.DataFrame:
    """How reading went: one row per outcome with `n_files` and `n_bytes`; empty files are text of length 0."""
    outcome = (
        pl.when(pl.col("text").is_null())
        .then(pl.col("removed_by").str.split(".").list.last())
        .when(pl.col("n_bytes") == 0)
        .then(pl.lit("empty"))
        .otherwise(pl.lit("text"))
    )
    counts = files.group_by(outcome=outcome).agg(n_files=pl.len().cast(pl.Int64), n_bytes=pl.col("n_bytes").sum())
    return counts.sort("n_files", "outcome", descending=[True, False])


def count_repos(files: pl.DataFrame, *extra: str) -> pl.DataFrame:
    """One row per repository: `repo`, the `extra` columns, `n_files`, `n_bytes`; sorted by name."""
    sums = [pl.len().cast(pl.Int64).alias("n_files"), pl.col("n_bytes").sum()]
    return files.group_by("repo").agg(*(pl.col(name).first() for name in extra), *sums).sort("repo")
