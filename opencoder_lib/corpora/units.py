"""Inputs in units that any process can read by itself: some listed files, some rows of a Parquet file, or a file of
JSON Lines. A unit is small to send, opens what it names, and gives its rows in frames of bounded size.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from opencoder_lib.corpora.folder import Place
from opencoder_lib.corpora.jsonlines import JsonLines
from opencoder_lib.corpora.reading import NotAFile, Read, read_file
from opencoder_lib.corpora.tables import DTYPES, Columns, ParquetTable, Problems
from opencoder_lib.errors import InputError

MAX_ROWS = 16_384
# What `clean` adds while it works.
OURS = "opencoder:"
UNFIT = (pl.Int128, pl.UInt128, pl.Object)


@dataclass(frozen=True)
class Unit:
    """A stretch of the inputs.

    path: of the table; entries: where there is none, of each listed file the path that opens it, then its path,
    repository, bytes, origin, second of its last commit, and stars. first_row, num_rows: of a Parquet file.
    n_stored: bytes of the inputs it stands for. extra: further columns of a Parquet file that pass through, with their
    types.
    """

    number: int
    name: str
    n_stored: int
    columns: Columns
    path: str = ""
    first_row: int = 0
    num_rows: int = 0
    entries: tuple[tuple[str, str, str, int, str, int | None, int | None], ...] = ()
    extra: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The unit as ASCII text, for sending."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Unit":
        """The unit that `to_json` wrote."""
        found = json.loads(text)
        constants = tuple(map(tuple, found["columns"].pop("constants")))
        columns = Columns(**found["columns"], constants=constants)
        entries = tuple(map(tuple, found.pop("entries")))
        return cls(**found | {"columns": columns, "entries": entries, "extra": tuple(found["extra"])})

    def frames(self, max_bytes: int, problems: Problems) -> Iterator[pl.DataFrame]:
        """Its rows in order, about `max_bytes` of text at a time: the standard columns, then `extra`.

        `doc_id` is null where the input gives none. Raises InputError where the input cannot be opened any more.
        """
        held, size = [], 0
        for rows in self._read(max_bytes, problems):
            held.append(rows)
            size += int(rows["text"].str.len_bytes().sum())
            # Small slices are put together: each frame has its cost, whatever it holds.
            if 2 * size > max_bytes or sum(part.height for part in held) > MAX_ROWS:
                yield pl.concat(held)
                held, size = [], 0
        if held:
            yield pl.concat(held)

    def _read(self, max_bytes: int, problems: Problems) -> Iterator[pl.DataFrame]:
        if self.entries:
            yield from self._listed(max_bytes)
        elif self.path.lower().endswith(".parquet"):
            table = ParquetTable(Path(self.path), self.columns, self.extra)
            for rows, _ in table.slices(max_bytes, problems, self.first_row, self.first_row + self.num_rows):
                yield rows
        else:
            for rows, _ in JsonLines(Path(self.path), self.columns).slices(max_bytes, problems):
                yield rows

    def _listed(self, max_bytes: int) -> Iterator[pl.DataFrame]:
        rows, size = [], 0
        for full, path, repo, n_bytes, *about in self.entries:
            rows.append(Place(path, repo, *about).row(read_again(os.fsencode(full))))
            size += n_bytes
            if size >= max_bytes:
                yield pl.DataFrame(rows, schema=DTYPES)
                rows, size = [], 0
        if rows:
            yield pl.DataFrame(rows, schema=DTYPES)


def read_again(full: bytes) -> Read:
    """A listed file, read now. One that has become a link or a pipe since it was listed is unreadable."""
    try:
        return read_file(full)
    except NotAFile:
        return Read(None, 0, "preprocess.unreadable")


def extra_columns(tables: list[ParquetTable]) -> dict[str, pl.DataType]:
    """Further columns of all tables, with their types, sorted by name: they pass through untouched.

    A column that is null throughout takes the type of its namesakes. Raises InputError when two tables have a column of
    one name and two types, or one of a type that Parquet has not.
    """
    found: dict[str, tuple[pl.DataType, str]] = {}
    for table in tables:
        for name, dtype in table.further.items():
            if name.startswith(OURS):
                raise InputError(f"{table.name}: the name of the column {name!r} is one of our own. Rename it.")
            if dtype in UNFIT:
                raise InputError(
                    f"{table.name}: the column {name!r} is {dtype}, which cannot be written. Drop or cast it."
                )
            known, where = found.setdefault(name, (dtype, table.name))
            if known == pl.Null:
                found[name] = dtype, table.name
            elif dtype not in (known, pl.Null):
                raise InputError(
                    f"The column {name!r} is {known} in {where} and {dtype} in {table.name}. Bring both to one type, "
                    "or clean them apart."
                )
    return {name: found[name][0] for name in sorted(found)}
