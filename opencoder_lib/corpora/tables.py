"""Tables of files: which columns they need, what becomes of each, and Parquet read a slice at a time.

A slice is a frame with the columns of `STANDARD`: cast, and null where the table has none. A text that cannot be had is
null with the reason in `removed_by`. What is wrong with single lines is kept in `Problems`, and reading goes on.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from opencoder_lib.corpora.reading import MAX_BYTES, decode, printable_path
from opencoder_lib.errors import InputError, did_you_mean
from opencoder_lib.files import ORIGINS, SCHEMA

STANDARD = (
    *("doc_id", "text", "path", "repo", "license", "language", "natural_language", "n_bytes", "stars", "committed_at"),
    *("origin", "removed_by", "measured"),
)
DTYPES = {name: pl.String() if name == "origin" else SCHEMA[name] for name in STANDARD}
# Names under which published corpora keep what is called text and path here, for the hint in an error.
OTHER_NAMES = {
    "text": ("content", "code", "body", "source", "raw_content", "document"),
    "path": ("file_path", "filepath", "filename", "file_name", "max_stars_repo_path", "file"),
}
# A column of these must have the right kind; another one of a foreign kind counts as absent, which is noted.
MUST_FIT = ("text", "path", "doc_id", "repo", "natural_language", "n_bytes")
MAX_ROWS = 1024
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Columns:
    """What a table calls its text, its path, its id and its repository.

    language: its column of languages in the words of languages.toml; without a name the path says the language, as a
    column `language` may be anything. constants: standard columns that have one value in all rows.
    """

    text: str = "text"
    path: str = "path"
    doc_id: str = "doc_id"
    repo: str = "repo"
    language: str = ""
    constants: tuple[tuple[str, str], ...] = ()

    def source_of(self, name: str) -> str:
        """The table's name for a standard column."""
        return getattr(self, name, name)

    def check(self, found: list[str], where: str) -> None:
        """Raise InputError if `found`, a table's columns, lack text or path; it names them and the option to use."""
        for name in ("text", "path"):
            wanted = self.source_of(name)
            if wanted not in found:
                near = next((other for other in OTHER_NAMES[name] if other in found), None)
                hint = f" Is it --{name}-column {near}?" if near else did_you_mean(wanted, found) if found else ""
                raise InputError(
                    f"{where} has no column {wanted!r} for the {name}. It has: {', '.join(found) or 'none'}.{hint} "
                    f"Name the right one with --{name}-column."
                )


@dataclass
class Problems:
    """What could not be read of tables, by file: how many lines or rows, and the first few with the reason."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, file: str, place: str, what: str, n: int = 1) -> None:
        """One more line of `file`, or a stretch of `n` rows, that gave no row."""
        entry = self.found.setdefault(file, {"n": 0, "examples": []})
        entry["n"] += n
        if len(entry["examples"]) < MAX_EXAMPLES:
            entry["examples"].append(f"{place}: {what}")

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(entry["n"] for entry in self.found.values())


class ParquetTable:
    """A Parquet file read by slices of rows, whatever the size of its row groups.

    further: its columns that are not standard, with their types. unfit: standard ones of a foreign kind, which count as
    absent, with a sentence each. extra: those of them that are wanted after the
    standard ones, as far as this table has them.
    """

    def __init__(self, path: Path, columns: Columns, extra: Sequence[str] = ()):
        self.name, self.columns = printable_path(str(path)), columns
        if self.name != str(path):
            raise InputError(f"The name {self.name!r} is not UTF-8, which a Parquet file's must be here. Rename it.")
        self.full = os.path.abspath(path)
        try:
            self.n_stored = path.stat().st_size
            self._scan = pl.scan_parquet(path, glob=False)
            schema = self._scan.collect_schema()
            self.n_rows = self._scan.select(pl.len()).collect().item()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{self.name} cannot be read as Parquet ({first_line(error)}). Write it again.") from None
        columns.check(schema.names(), self.name)
        here = {name: columns.source_of(name) for name in STANDARD if columns.source_of(name) in schema}
        self.unfit = [
            f"table whose column {name!r} is {schema[source]}, not {_wanted(name)}: not read"
            for name, source in here.items()
            if not _fits(name, schema[source])
        ]
        # What `clean` adds to an output is not the user's when that is read again.
        used = {*here.values(), *SCHEMA, "survivor_in"}
        self.further = {name: dtype for name, dtype in schema.items() if name not in used}
        self._extra = tuple(extra)
        kept = [name for name in self._extra if name in self.further]
        self._scan = self._scan.select(*(pl.col(source).alias(name) for name, source in here.items()), *kept)
        # Types are looked at before hours of work, not at the first row.
        self._rows(self._scan.head(0).collect())

    def slices(
        self, max_bytes: int, problems: Problems, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[pl.DataFrame, int]]:
        """(rows, bytes of the file they stand for), about `max_bytes` of text or fewer at a time.

        start, stop: the rows wanted, all of them when left out.
        """
        at, step = start, 16
        stop = self.n_rows if stop is None else min(stop, self.n_rows)
        while at < stop:
            wanted = min(step, stop - at)
            try:
                rows = self._scan.slice(at, wanted).collect()
            except pl.exceptions.PolarsError as error:
                # One group of rows may be broken and the next one whole: go to its end, then over it.
                end = min(self._end_of_group(at), stop)
                if at + wanted > end:
                    step = end - at
                    continue
                what = f"cannot be read ({first_line(error)})"
                problems.note(self.name, f"rows {at + 1:,} to {end:,}", what, end - at)
                at, step = end, 16
                continue
            end = at + rows.height
            size = rows["text"].cast(pl.Binary, strict=False).bin.size().sum()
            yield self._rows(rows), self._stored_until(end) - self._stored_until(at)
            # Grow gently: large files may come after many small ones.
            step = max(1, min(4 * step, MAX_ROWS, max_bytes * rows.height // max(1, size)))
            at = end

    def _end_of_group(self, row: int) -> int:
        """The row after the last one of the group that holds `row`."""
        about = pq.read_metadata(self.full)
        ends = accumulate(about.row_group(at).num_rows for at in range(about.num_row_groups))
        return next(end for end in ends if end > row)

    def rows_of(self, n_bytes: int) -> int:
        """About how many rows hold so many bytes before compression, by what the file says of itself."""
        about = pq.read_metadata(self.full)
        total = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
        return max(1, self.n_rows * n_bytes // max(1, total))

    def _rows(self, raw: pl.DataFrame) -> pl.DataFrame:
        further = [raw[name] for name in self._extra if name in raw.columns]
        constants = {name: pl.lit(value) for name, value in self.columns.constants}
        return standard_rows(raw, self.name).with_columns(**constants).with_columns(further)

    def _stored_until(self, row: int) -> int:
        return self.n_stored * row // self.n_rows


def standard_rows(raw: pl.DataFrame, where: str) -> pl.DataFrame:
    """The columns of `STANDARD` from those of `raw`, a null text with its reason in removed_by.

    The reasons are preprocess.undecodable (bytes that are not UTF-8), .too_large (over the limit of a folder's files)
    and .unreadable (no text in the table). A null path is the empty one. Raises InputError on a column that cannot fit.
    """
    frame = pl.DataFrame({name: _fitting(raw, name, where) for name in STANDARD})
    if raw.schema["text"] == pl.Binary:
        frame = _decoded(frame, raw["text"])
    size = pl.col("text").str.len_bytes().cast(pl.Int64)
    too_large = size > MAX_BYTES
    reason = (
        pl.when(pl.col("text").is_null())
        .then(pl.lit("preprocess.unreadable"))
        .when(too_large)
        .then(pl.lit("preprocess.too_large"))
    )
    return frame.with_columns(
        path=pl.col("path").fill_null(""),
        n_bytes=pl.coalesce("n_bytes", size),
        removed_by=pl.coalesce(pl.when(pl.col("removed_by") != "").then("removed_by"), reason),
        measured=pl.coalesce("measured", pl.when(too_large).then(size.cast(pl.Float64))),
        text=pl.when(~too_large).then("text"),
    )


def _fits(name: str, dtype: pl.DataType) -> bool:
    """Whether a column of this type can become the standard one called `name`."""
    wanted = _wanted(name)
    if dtype == pl.Null or (name == "text" and dtype == pl.Binary):
        return True
    if wanted == pl.String:
        numbers = dtype.is_integer() and name in ("doc_id", "repo")
        lists = name == "license" and dtype == pl.List(pl.String)
        return numbers or lists or dtype in (pl.String, pl.Categorical, pl.Enum)
    return dtype in (pl.Date, pl.Datetime, pl.String) if wanted.is_temporal() else dtype.is_numeric()


def _wanted(name: str) -> pl.DataType:
    return pl.String() if name == "origin" else SCHEMA[name]


def _fitting(raw: pl.DataFrame, name: str, where: str) -> pl.Series:
    """The column as the file frame wants it; all null where there is none."""
    wanted = _wanted(name)
    dtype = raw.schema.get(name, pl.Null())
    fits = _fits(name, dtype)
    if not fits and name in MUST_FIT:
        raise InputError(
            f"{where}: the column for {name!r} must be {wanted}, it is {dtype}. Name or write another one."
        )
    if not fits or dtype == pl.Null or (name == "text" and dtype == pl.Binary):
        return pl.Series(name, [None], dtype=wanted).new_from_index(0, raw.height)
    column = raw[name]
    if dtype == pl.List(pl.String):
        column = column.list.join(", ")
    elif wanted.is_temporal() and dtype == pl.String:
        column = pl.Series(name, [date_of(value) for value in column], dtype=wanted)
    elif wanted.is_temporal() and getattr(dtype, "time_zone", None):
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    column = column.cast(wanted, strict=False)
    if name == "origin":
        column = column.set(~column.is_in(ORIGINS), None)
    return column


def date_of(value: Any) -> datetime | None:
    """The moment that an ISO 8601 string names, in UTC; null if it names none."""
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (TypeError, ValueError, OverflowError):
        return None


def _decoded(frame: pl.DataFrame, data: pl.Series) -> pl.DataFrame:
    """`frame` with the text of the bytes in `data`, or the reason there is none."""
    read = [None if value is None else decode(value) for value in data]
    return frame.with_columns(
        text=pl.Series([found and found.text for found in read], dtype=pl.String),
        n_bytes=pl.coalesce("n_bytes", pl.Series([found and found.n_bytes for found in read], dtype=pl.Int64)),
        removed_by=pl.coalesce(
            "removed_by", pl.Series([found and found.removed_by for found in read], dtype=pl.String)
        ),
    )


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
