"""Texts from tables on disk, a few at a time: Parquet and JSON Lines, plain or packed."""

import glob
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

from opencoder_lib.errors import ConfigError, InputError, did_you_mean

PARQUET, JSON_LINES, TOKENS = (".parquet",), (".jsonl", ".jsonl.gz", ".jsonl.zst"), (".safetensors",)
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Row:
    """One document; repo: where it is from, when that is known."""

    text: str
    repo: str | None = None


def find_files(paths: Sequence[str], name: str) -> list[Path]:
    """All files that `paths` (files, folders, patterns) stand for, in a fixed order. name: for errors.

    Raises InputError when a path stands for nothing or a file is of no known kind.
    """
    found: list[Path] = []
    for given in paths:
        place = Path(given)
        if place.is_dir():
            here = [path for path in sorted(place.rglob("*")) if path.is_file() and is_readable(path)]
            here = [path for path in here if not any(part.startswith(".") for part in path.relative_to(place).parts)]
        else:
            here = [place] if place.is_file() else sorted(map(Path, glob.glob(given, recursive=True)))
            if odd := [path for path in here if not is_readable(path)]:
                raise InputError(f"{name}: {odd[0]} is none of {', '.join(PARQUET + JSON_LINES + TOKENS)}.")
        if not here:
            raise InputError(
                f"{name}: {given!r} holds no file of Parquet, JSON Lines or tokens, seen from {Path.cwd()}. "
                "'opencoder clean FOLDER --out cleaned' makes cleaned/kept of a folder of code."
            )
        found += here
    return list(dict.fromkeys(found))


def is_readable(path: Path) -> bool:
    """Whether a file's name says that it can be read here."""
    return path.name.endswith(PARQUET + JSON_LINES + TOKENS)


def is_tokens(path: Path) -> bool:
    """Whether a file holds tokens already."""
    return path.name.endswith(TOKENS)


def read_rows(path: Path, text_column: str, repo_column: str | None = None) -> Iterator[Row]:
    """The documents of one file that have a text, in order. repo_column: null when nobody asks for it.

    Raises ConfigError for a column that is not there, InputError for a file that is damaged, with the line.
    """
    read = _parquet_rows if path.name.endswith(PARQUET) else _json_rows
    for text, repo in read(path, text_column, repo_column):
        if text is None:
            continue
        if not isinstance(text, str):
            raise InputError(f"{path}: the column {text_column!r} holds {type(text).__name__}, not text.")
        yield Row(text, None if repo is None else str(repo))


def text_bytes(path: Path, text_column: str) -> int:
    """About how many bytes of text a file holds, without reading it."""
    if path.name.endswith(JSON_LINES):
        # Source code in JSON takes a tenth more than itself, and packs to about a quarter.
        return path.stat().st_size * (1 if path.suffix == ".jsonl" else 4)
    with _open_parquet(path) as table:
        groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
        columns = [group.column(place) for group in groups for place in range(group.num_columns)]
        return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == text_column)


def identity_of(paths: Iterable[Path]) -> str:
    """A hash of names, sizes and times of change: another when a file was written again."""
    about = [(path.as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _open_parquet(path: Path):
    # Imported here: machines that only train have no Arrow.
    try:
        parquet, arrow = import_module("pyarrow.parquet"), import_module("pyarrow")
    except ImportError:
        raise ConfigError(f"{path} is Parquet, which the package pyarrow reads. Run: pip install pyarrow") from None
    try:
        return parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {_first_line(error)}") from None


def _parquet_rows(path: Path, text_column: str, repo_column: str | None) -> Iterator[tuple]:
    columns = [name for name in (text_column, repo_column) if name is not None]
    with _open_parquet(path) as table:
        known = table.schema_arrow.names
        _check_columns(path, columns, known)
        try:
            for some in table.iter_batches(ROWS_AT_ONCE, columns=columns):
                found = [some.column(name).to_pylist() for name in columns]
                yield from zip(found[0], found[1] if repo_column else [None] * len(found[0]), strict=True)
        except (import_module("pyarrow").ArrowException, OSError) as error:
            raise InputError(f"{path} is damaged: {_first_line(error)}") from None


def _json_rows(path: Path, text_column: str, repo_column: str | None) -> Iterator[tuple]:
    number = 0
    try:
        with _open_lines(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise InputError(f"{path}, line {number}: {type(row).__name__} is not an object with columns.")
                _check_columns(path, [text_column], row, f", line {number}")
                yield row[text_column], row.get(repo_column) if repo_column else None
    except json.JSONDecodeError as error:
        what = f"line {number} is damaged or no JSON: {error.msg} at character {error.pos}"
        raise InputError(f"{path}, {what}.") from None
    except (ValueError, EOFError, OSError, zlib.error, _zstd_error(path)) as error:
        raise InputError(f"{path} is damaged after line {number}: {_first_line(error)}") from None


def _open_lines(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8")
    if path.name.endswith(".zst"):
        return io.TextIOWrapper(_zstd(path).open(path, "rb"), encoding="utf-8")
    return open(path, encoding="utf-8")


def _zstd(path: Path):
    for name in ("backports.zstd", "compression.zstd"):
        with suppress(ImportError):
            return import_module(name)
    raise ConfigError(f"{path} needs the package backports.zstd, which is not installed.")


def _zstd_error(path: Path) -> type[Exception]:
    return _zstd(path).ZstdError if path.name.endswith(".zst") else EOFError


def _check_columns(path: Path, wanted: Sequence[str], known: Iterable[str], where: str = "") -> None:
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{path}{where} has no column {name!r}.{did_you_mean(name, known)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
