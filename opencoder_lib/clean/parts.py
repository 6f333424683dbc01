"""Where a run of `clean` keeps what it has done, and how parts are written: whole or not at all, then marked as done.

DIR/.work/ORDER     while the run lasts: text/ (the input as read, judged by preprocessing), a folder a pass with a mark
                    a task, the decisions of each stage, and done/, which becomes the output
DIR                 what results.OUTPUT names, report.json last of all
"""

import errno
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from opencoder_lib.corpora.tables import first_line
from opencoder_lib.durable import write_atomically
from opencoder_lib.errors import InputError
from opencoder_lib.files import SCHEMA
from opencoder_lib.shards import explained_if_full

WORK = ".work"
FOLDERS = [(name,) for name in ("read", "text", "ids", "evidence", "licences", "digests", "exact-decisions", "keys")]
FOLDERS += [(name,) for name in ("bands", "sets", "decide", "fuzzy-decisions", "write", "edits", "judged", "places")]
FOLDERS += [("sample",), ("done", "kept"), ("done", "removed")]


@dataclass(frozen=True)
class Workplace:
    """Where the run of one order keeps what it has done. order: names the order, so that two never mix.

    A process of a killed run may write one more part after another order has begun; it then lies where nobody looks.
    """

    out: str
    order: str

    def path(self, *names: str) -> Path:
        """A path below DIR/.work/ORDER."""
        return Path(self.out, WORK, self.order, *names)

    def parts(self, step: str) -> list[str]:
        """All parts of a pass."""
        return sorted(map(str, self.path(step).glob("*.parquet")))

    def make_folders(self) -> None:
        """Make the folders of all passes. Only who starts a run does: a late task of a killed one has nowhere to go."""
        for names in FOLDERS:
            self.path(*names).mkdir(parents=True, exist_ok=True)

    def mark_of(self, step: str, task: str) -> Path:
        """The mark that says that a task of a pass is done; it holds the notes."""
        return self.path(step, f"{task}.done")

    def notes_of(self, step: str, task: str) -> dict[str, Any] | None:
        """What a task noted, or null if it is not done."""
        with suppress(FileNotFoundError):
            return json.loads(self.mark_of(step, task).read_text())
        return None

    def mark(self, step: str, task: str, notes: dict[str, Any]) -> dict[str, Any]:
        """Say that a task is done. Call it last: what stands before it is then known to be whole."""
        path = self.mark_of(step, task)
        with explained_if_full(path):
            _write_beside(path, lambda place: place.write_text(json.dumps(notes)))
        return notes


class PartWriter:
    """A Parquet file written frame by frame, each one row group or more; in place only when all of it is written.

    The name it is written under is nobody else's: on a cluster a task may be at work twice.
    """

    def __init__(self, path: Path, compression: str = "zstd"):
        self.path, self.rows, self.group_bytes = path, 0, []
        self._compression = compression
        self._temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """One more row group, if there is a row. group_bytes: of its text, for those who share the groups out."""
        if frame.is_empty():
            return
        table = as_arrow(frame)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._temporary, table.schema, compression=self._compression)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows
        self.group_bytes.append(int(frame["text"].str.len_bytes().sum()) if "text" in frame.columns else 0)

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with open(self._temporary, "rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(self._temporary, self.path)

    def _drop(self) -> None:
        if self._writer is not None:
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def part(path: Path, compression: str = "zstd") -> Iterator[PartWriter]:
    """A writer for the part at `path`; nothing is left of it when the block ends in an error. Raises DiskFull."""
    writer = PartWriter(path, compression)
    try:
        with explained_if_full(path):
            yield writer
            writer._finish()
    except BaseException:
        writer._drop()
        raise


def as_arrow(frame: pl.DataFrame) -> pa.Table:
    """The frame with plain types that every reader of Parquet understands: text for closed lists of values, lists of
    any length for those of one length.
    """
    plain = [pl.col(name).cast(pl.String) for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)]
    plain += [pl.col(name).arr.to_list() for name, dtype in frame.schema.items() if isinstance(dtype, pl.Array)]
    return frame.with_columns(plain).to_arrow(compat_level=pl.CompatLevel.oldest())


def row_groups(
    path: str | Path, groups: range | None = None, columns: list[str] | None = None
) -> Iterator[pl.DataFrame]:
    """The row groups of a Parquet file, one frame each, with the dtypes of the file frame.

    Raises InputError where the file is damaged.
    """
    with explained_if_damaged(path), pq.ParquetFile(path) as stored:
        for number in groups if groups is not None else range(stored.num_row_groups):
            found = pl.DataFrame(pl.from_arrow(stored.read_row_group(number, columns=columns)))
            wanted = [pl.col(name).cast(SCHEMA[name]) for name in found.columns if name in SCHEMA]
            yield found.with_columns(wanted)


def num_row_groups(path: str | Path) -> int:
    """How many row groups a Parquet file has. Raises InputError where it is damaged."""
    with explained_if_damaged(path):
        return pq.read_metadata(path).num_row_groups


def num_rows(path: Path) -> int:
    """How many rows a Parquet file, or those of a folder, have. Raises InputError where one is damaged."""
    found = 0
    for part in path.glob("*.parquet") if path.is_dir() else (path,):
        with explained_if_damaged(part):
            found += pq.read_metadata(part).num_rows
    return found


@contextmanager
def explained_if_damaged(path: str | Path) -> Iterator[None]:
    """What a reader of Parquet says of a damaged file becomes an InputError that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{str(path)!r} cannot be read ({first_line(error)}): it was damaged.") from None


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write a small frame atomically."""
    with explained_if_full(path):
        _write_beside(path, lambda place: frame.write_parquet(place, compression="zstd", row_group_size=50_000))


def _write_beside(path: Path, write: Callable[[Path], Any]) -> None:
    """Write atomically, but never make the folder: where it is gone, so is the run."""
    if not path.parent.is_dir():
        raise FileNotFoundError(path.parent)
    write_atomically(path, write)
