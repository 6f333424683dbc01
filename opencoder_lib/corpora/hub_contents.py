"""Texts that a data set only points to: by blob id, in a folder laid out as Software Heritage lays out its content.

A blob id is the SHA-1 of a file's bytes, in the data set as in the store, so what is read is checked against it. Ids
are data: one that is not 40 hexadecimal digits never becomes part of a path.
"""

import codecs
import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from opencoder_lib.corpora.hub import Dataset, as_files, open_local, rewrite
from opencoder_lib.corpora.reading import MAX_BYTES, NotAFile, Read, decode, skipped_frame
from opencoder_lib.errors import InputError
from opencoder_lib.files import SCHEMA, check

UNREADABLE = "preprocess.unreadable"
GZIP = b"\x1f\x8b"
BLOB_ID = re.compile(r"[0-9a-f]{40}")
# Texts of so many files are in memory at once.
SLICE_ROWS = 512
# Codecs of Python that turn text into other text: no file is stored in one.
NOT_CHARSETS = {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}


def with_contents(files: pl.DataFrame, folder: Path, max_bytes: int = MAX_BYTES) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`files` with the texts of `folder`, and one row per kind of failure: `what`, `n`, `example` (a path).

    files: a file frame of metadata (`as_files`) with the columns blob_id and src_encoding. A blob is folder/BLOB_ID or
    folder/BLOB_ID.gz, as it is or gzipped. Rows that have a text, or that were removed for another reason than
    preprocess.unreadable, stay as they are. A row whose blob is missing, or is not what its id says, is removed as
    preprocess.unreadable; one of bytes that are no text as .undecodable or .binary, one over `max_bytes` as .too_large.
    n_bytes is the size as stored. Raises InputError if `folder` is none or a column is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {str(folder)!r}. Give the one that holds the blobs, named by their ids.")
    for name in ("blob_id", "src_encoding"):
        if name not in files.columns:
            raise InputError(f"The files have no column {name!r}, so their texts cannot be found. Use as_files().")
    wanted = files["text"].is_null() & (files["removed_by"].is_null() | (files["removed_by"] == UNREADABLE))
    reads: list[Read | None] = []
    failures: list[tuple[str, str]] = []
    places = files.select(wanted.alias("wanted"), "blob_id", "src_encoding", "path", "n_bytes").iter_rows()
    for is_wanted, blob_id, encoding, path, n_bytes in places:
        read, what = _read(folder, blob_id, encoding, max_bytes) if is_wanted else (None, "")
        if what:
            failures.append((what, path))
            # What was read may be a part; the data set gives the size of the whole.
            read = replace(read, n_bytes=read.n_bytes if n_bytes is None else n_bytes)
        reads.append(read)
    new = {
        "text": [read and read.text for read in reads],
        "n_bytes": [read and read.n_bytes for read in reads],
        "removed_by": [read and read.removed_by for read in reads],
    }
    columns = [
        pl.when(wanted).then(pl.Series(values, dtype=SCHEMA[name])).otherwise(pl.col(name)).alias(name)
        for name, values in new.items()
    ]
    too_large = pl.col("removed_by") == "preprocess.too_large"
    found = files.with_columns(columns).with_columns(
        measured=pl.when(too_large & wanted).then(pl.col("n_bytes").cast(pl.Float64)).otherwise("measured")
    )
    return check(found), skipped_frame(failures)


def _read(folder: Path, blob_id: str | None, encoding: str | None, max_bytes: int) -> tuple[Read, str]:
    """A blob's text, and what is wrong with it where there is none."""
    if blob_id is None or not BLOB_ID.fullmatch(blob_id):
        return Read(None, 0, UNREADABLE), "its blob id is not 40 hexadecimal digits"
    try:
        data = _bytes_of(folder, blob_id, max_bytes)
    except FileNotFoundError:
        return Read(None, 0, UNREADABLE), "no blob of this id"
    except NotAFile as error:
        return Read(None, 0, UNREADABLE), str(error)
    except (OSError, EOFError, zlib.error):
        return Read(None, 0, UNREADABLE), "the blob cannot be read"
    if len(data) > max_bytes:
        return Read(None, len(data), "preprocess.too_large"), "larger than the limit"
    if _sha1(data) != blob_id:
        return Read(None, len(data), UNREADABLE), "the blob's bytes are not those of its id"
    read = _text_of(data, encoding, max_bytes)
    return read, f"no text ({read.removed_by.removeprefix('preprocess.')})" if read.removed_by else ""


def _bytes_of(folder: Path, blob_id: str, max_bytes: int) -> bytes:
    """The blob, unpacked; one byte more than `max_bytes` if it is larger."""
    for name in (blob_id, blob_id + ".gz"):
        path = folder / name
        try:
            entry = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(entry.st_mode):
            raise NotAFile("the blob is no regular file")
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
        # The store gzips blobs without saying so in their names, and a blob may be a gzip file of itself.
        if data.startswith(GZIP) and _sha1(data) != blob_id:
            with gzip.open(path) as stream:
                return stream.read(max_bytes + 1)
        return data
    raise FileNotFoundError(blob_id)


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _text_of(data: bytes, encoding: str | None, max_bytes: int) -> Read:
    try:
        name = codecs.lookup(encoding or "utf-8").name
        if name in ("utf-8", "ascii"):
            return decode(data, max_bytes)
        if name in NOT_CHARSETS:
            raise LookupError(name)
        text = data.decode(name)
        # Some codecs give halves of surrogate pairs, which no table can hold.
        text.encode()
    except (LookupError, ValueError):
        return Read(None, len(data), "preprocess.undecodable")
    return Read(None, len(data), "preprocess.binary") if "\0" in text else Read(text, len(data))


def write_with_contents(
    paths: Sequence[Path], dataset: Dataset, folder: Path, out: Path
) -> tuple[list[Path], pl.DataFrame]:
    """Parquet tables in `out`, one per file of metadata, with the texts of `folder`: what `opencoder clean` reads.

    Returns their paths and the failures, counted as `with_contents` does. Ids are left to the reader of the tables.
    Raises what `open_local` and `with_contents` raise, and InputError where a table exists already.
    """
    written, failures = [], []
    for path, frame in zip(map(Path, paths), open_local(dataset, paths), strict=True):
        # Files of two configs may have one name.
        target = Path(out) / f"{len(written):05d}-{path.stem}.parquet"
        if target.exists():
            raise InputError(f"{str(target)!r} exists. Give an empty folder.")

        def filled(rows: pl.DataFrame, _: int) -> pl.DataFrame:
            files, failed = with_contents(as_files(rows, dataset), folder)
            failures.append(failed)
            return files.drop("doc_id", "survivor", "truth")

        rewrite(frame, target, filled, SLICE_ROWS)
        written.append(target)
    counts = pl.concat(failures).group_by("what").agg(pl.col("n").sum(), pl.col("example").min()).sort("what")
    return written, counts
