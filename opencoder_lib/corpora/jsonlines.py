"""JSON Lines, plain or compressed: one object a line. A line that cannot be read is noted, and the next one is read."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from opencoder_lib import MB
from opencoder_lib.corpora.reading import printable_path
from opencoder_lib.corpora.tables import DTYPES, Columns, Problems, date_of, first_line, standard_rows
from opencoder_lib.errors import InputError

try:
    from compression import zstd
except ModuleNotFoundError:  # before Python 3.14
    from backports import zstd

PACKED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
# Some corpora call packed lines .json.gz; .json by itself is a source file.
ENDINGS = (
    *(f".{name}{packed}" for name in ("jsonl", "ndjson", "json") for packed in PACKED),
    *(".jsonl", ".ndjson"),
)
# In JSON a character of text may take six bytes, so the largest file that is read still fits.
MAX_LINE = 64 * MB
BROKEN = (OSError, EOFError, zlib.error, zstd.ZstdError)


class JsonLines:
    """A file of one JSON object a line, plain or compressed with gzip or Zstandard."""

    def __init__(self, path: Path, columns: Columns):
        self.path, self.name, self.columns = path, printable_path(str(path)), columns
        self._packed = path.suffix.lower()
        try:
            self.n_stored = path.stat().st_size
            with open(path, "rb") as stored:
                self._check_packing(stored)
                first = next((line for _, line, what in self._lines(stored) if not what), b"{")
        except BROKEN as error:
            raise InputError(f"{self.name} cannot be read ({first_line(error)}). Write it again.") from None
        found = parsed(first)
        if first.lstrip().startswith(b"[") and (isinstance(found, str) or isinstance((found or [0])[0], dict)):
            raise InputError(f"{self.name} is one array, not JSON Lines. Write one object a line.")
        if isinstance(found, dict):
            columns.check(list(found), f"The first line of {self.name}")

    def _check_packing(self, stored: BinaryIO) -> None:
        """Raise InputError if the file is packed in another way than its name says."""
        head = stored.read(8)
        stored.seek(0)
        packed = next((ending for ending, magic in PACKED.items() if head.startswith(magic)), None)
        if packed and packed != self._packed:
            raise InputError(f"{self.name} is packed as {packed} files are. Rename it.")
        if self._packed in PACKED and head.lstrip().startswith((b"{", b"[")):
            raise InputError(f"{self.name} is not packed, as {self._packed} files are. Rename it.")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{self.name} is UTF-16. Write it as UTF-8.")

    def slices(self, max_bytes: int, problems: Problems) -> Iterator[tuple[pl.DataFrame, int]]:
        """(rows, bytes of the file they stand for), about `max_bytes` of lines at a time."""
        rows, size, used, number = [], 0, 0, 0
        with open(self.path, "rb") as stored:
            try:
                for number, line, what in self._lines(stored):
                    row = what or self._row(line)
                    if isinstance(row, str):
                        problems.note(self.name, f"line {number}", row)
                        continue
                    rows.append(row)
                    size += len(line)
                    if size >= max_bytes:
                        yield self._frame(rows), stored.tell() - used
                        rows, size, used = [], 0, stored.tell()
            except BROKEN as error:
                problems.note(self.name, f"after line {number}", f"the rest cannot be read ({first_line(error)})")
        yield self._frame(rows), self.n_stored - used

    def _lines(self, stored: BinaryIO) -> Iterator[tuple[int, bytes, str | None]]:
        """(number from 1, line, what is wrong with it or null) of each line that is not blank."""
        stream, number = self._unpacked(stored), 0
        while line := stream.readline(MAX_LINE):
            number += 1
            what = None
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                what = f"longer than {MAX_LINE // MB} MB"
                while (more := stream.readline(MAX_LINE)) and not more.endswith(b"\n"):
                    pass
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line, what

    def _unpacked(self, stored: BinaryIO) -> BinaryIO:
        if self._packed == ".gz":
            return gzip.open(stored)
        if self._packed == ".zst":
            # Corpora are packed with long windows; the default limit refuses them.
            return zstd.open(stored, options={zstd.DecompressionParameter.window_log_max: 31})
        return stored

    def _row(self, line: bytes) -> dict[str, Any] | str:
        """The standard columns of a line, or what is wrong with it."""
        found = parsed(line)
        if not isinstance(found, dict):
            return found if isinstance(found, str) else "not a JSON object"
        for name in ("text", "path"):
            value = found.get(self.columns.source_of(name))
            if not isinstance(value, str) and not (name == "text" and value is None):
                return f"{self.columns.source_of(name)!r} is {'missing' if value is None else 'not a string'}"
        row = {name: _fitting(found.get(self.columns.source_of(name)), dtype) for name, dtype in DTYPES.items()}
        text = found.get(self.columns.text)
        if row["text"] != text:
            # Half a surrogate pair, or bytes that are not UTF-8: no file has this text.
            row |= {"text": None, "removed_by": row["removed_by"] or "preprocess.undecodable"}
            row["n_bytes"] = row["n_bytes"] or len(text.encode("utf-8", "surrogatepass"))
        return row

    def _frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        columns = [
            pl.Series(name, [row[name] for row in rows], dtype=dtype, strict=False) for name, dtype in DTYPES.items()
        ]
        return standard_rows(pl.DataFrame(columns), self.name)


def _fitting(value: Any, dtype: pl.DataType) -> Any:
    """The value as a column of `dtype` takes it, null where it cannot; text that UTF-8 cannot hold is escaped."""
    if isinstance(value, bool):
        return None
    if dtype == pl.String:
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        if isinstance(value, (str, int)):
            value = str(value)
            return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
        return None
    if dtype.is_temporal():
        return date_of(value)
    limit = 2**63 if dtype == pl.Int64 else 2**31
    number = value if isinstance(value, (int, float)) and -limit < value < limit else None
    return number if dtype == pl.Float64 or number is None else int(number)


def parsed(line: bytes) -> Any:
    """The value of a line of JSON; a sentence that says what is wrong where it has none."""
    try:
        found = json.loads(line.decode("utf-8", "surrogateescape"))
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return f"not JSON ({first_line(error)})"
    return "not a JSON object" if isinstance(found, str) else found
