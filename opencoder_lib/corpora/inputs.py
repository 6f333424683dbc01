"""Inputs of a command: folders, single files, globs, Parquet and JSON Lines, as one stream of shards.

inputs = open_inputs(["src", "more/*.parquet"])
for shard in inputs.shards():
    files = shard.read()        # a file frame

Everything is opened before the first shard, so a mistake shows at once. Memory is bounded by the shard: folders are
walked once into a temporary listing, tables are read a slice at a time.
"""

import glob
import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import polars as pl

from opencoder_lib import MB
from opencoder_lib.corpora.folder import Folder, Place
from opencoder_lib.corpora.hub import PREFIX
from opencoder_lib.corpora.hub_fetch import hub_tables
from opencoder_lib.corpora.jsonlines import ENDINGS as JSON_ENDINGS
from opencoder_lib.corpora.jsonlines import JsonLines
from opencoder_lib.corpora.ledger import Ledger, Listed
from opencoder_lib.corpora.reading import MAX_BYTES, NotAFile, Notes, printable_path, read_file
from opencoder_lib.corpora.stars import StarsOf
from opencoder_lib.corpora.tables import Columns, ParquetTable, Problems
from opencoder_lib.corpora.units import Unit, extra_columns, read_again
from opencoder_lib.errors import InputError, did_you_mean
from opencoder_lib.files import new_files

SHARD_BYTES = 8 * MB
# Tiny files cost memory too.
SHARD_FILES = 20_000
TABLES = (".parquet", *JSON_ENDINGS)
KINDS = ".jsonl, .jsonl.gz, .jsonl.zst"
# Given by themselves, these are nobody's source files.
OTHER_TABLES = tuple(f"{name}.{packed}" for name in (".jsonl", ".json") for packed in ("bz2", "xz", "lz4", "zip"))
# Folders of single files that are kept open: a shell gives the files of one after the other.
MAX_FOLDERS = 16


@dataclass(frozen=True)
class Shard:
    """Some consecutive files of the inputs; small to send to another process, read there.

    key: a hash of what it holds. n_stored: bytes of the inputs it stands for. first: the path it begins with.
    """

    number: int
    key: str
    first: str
    n_files: int
    n_stored: int
    load: Callable[[], pl.DataFrame] = field(repr=False)

    def read(self) -> pl.DataFrame:
        """Its files as a file frame, ids and all; `language` and what follows from it is still null."""
        return new_files(self.load())


class Inputs:
    """Opened inputs. total_bytes: of all of them, as stored; skipped: entries that are no files, counted by kind;
    noted: what could not be learnt of repositories and tables, with examples; problems: lines of tables that could not
    be read, known once the shards have been read."""

    def __init__(self, columns: Columns, stars: StarsOf | None = None):
        self.columns, self.problems = columns, Problems()
        self.names: list[str] = []
        self.noted = Notes()
        self._stars = stars
        self._folders: dict[Path, Folder] = {}
        self.total_bytes = self.num_listed = 0
        self.skipped: Counter = Counter()
        self._sources: list[int | ParquetTable | JsonLines] = []
        self._ledger = Ledger()

    @property
    def tables(self) -> list[ParquetTable | JsonLines]:
        """The tables among the inputs."""
        return [source for source in self._sources if not isinstance(source, int)]

    def add_table(self, table: ParquetTable | JsonLines) -> None:
        """Take in a table after what there is."""
        self._sources.append(table)
        self.total_bytes += table.n_stored
        for what in getattr(table, "unfit", ()):
            self.noted.note(what, table.name)

    @property
    def notes(self) -> Counter:
        """What could not be learnt: how often each sentence holds, as "repository without commits"."""
        return self.noted.counts()

    def folder_at(self, path: Path) -> Folder:
        """The folder at `path`, the same one for several files in it. Raises InputError if it cannot be listed."""
        if path not in self._folders:
            while len(self._folders) >= MAX_FOLDERS:
                self._folders.pop(next(iter(self._folders)))
            self._folders[path] = Folder.at(path, self.noted, self._stars)
        return self._folders[path]

    def forget_folders(self) -> None:
        """Let go of what was only needed to list files: the dates of all their neighbours."""
        self._folders.clear()

    def add_file(self, full: bytes, place_of: Callable[[], Place]) -> str | None:
        """Take in a single file after what there is, or say why it is none. full: what opens it."""
        try:
            found = os.lstat(full)
            if not stat.S_ISREG(found.st_mode):
                read_file(full, 0)
        except NotAFile as error:
            return str(error)
        except OSError:
            found = None  # it has a row all the same, without text
        # Files between two tables share a listing, and with it shards.
        if not self._sources or not isinstance(self._sources[-1], int):
            self._sources.append(len(self._sources))
        size, changed = (found.st_size, found.st_mtime_ns) if found else (0, 0)
        self._ledger.list_file(self._sources[-1], Listed(full, size, changed, place_of()))
        self.num_listed += 1
        self.total_bytes += size
        return None

    def shards(self, max_bytes: int = SHARD_BYTES) -> Iterator[Shard]:
        """All files, in the order of the inputs, in shards of at most about `max_bytes` of text, or of one file.

        Neither ids nor order depend on `max_bytes`. Raises SchemaError when a given id occurs twice.
        """
        self._ledger.forget_ids()
        self.problems.found.clear()
        number = 0
        for source in self._sources:
            pieces = (
                self._of_listing(source, max_bytes) if isinstance(source, int) else self._of_table(source, max_bytes)
            )
            for key, first, n_files, n_stored, load in pieces:
                yield Shard(number, key, first, n_files, n_stored, load)
                number += 1

    def units(self, max_bytes: int) -> Iterator[Unit]:
        """All files, in the order of the inputs, in units of about `max_bytes` of the inputs, or of one file.

        A unit of JSON Lines is a whole file. Rows keep the ids that the inputs give, others have none yet.
        """
        extra = extra_columns([table for table in self.tables if isinstance(table, ParquetTable)])
        shared = {"columns": self.columns, "extra": tuple(extra)}
        number = 0
        for source in self._sources:
            for about in self._stretches(source, max_bytes):
                yield Unit(number=number, **{**shared, **about})
                number += 1

    def _stretches(self, source: "int | ParquetTable | JsonLines", max_bytes: int) -> Iterator[dict]:
        if isinstance(source, ParquetTable):
            step = source.rows_of(max_bytes)
            for start in range(0, source.n_rows, step):
                rows = min(step, source.n_rows - start)
                stored = source.n_stored * rows // source.n_rows
                yield {
                    "path": source.full,
                    "name": source.name,
                    "columns": source.columns,
                    "n_stored": stored,
                    "first_row": start,
                    "num_rows": rows,
                }
        elif isinstance(source, JsonLines):
            yield {"path": os.path.abspath(source.path), "name": source.name, "n_stored": source.n_stored}
        else:
            entries, size = [], 0
            for full, n_bytes, _, place in self._ledger.listed(source):
                if entries and (size + n_bytes > max_bytes or len(entries) == SHARD_FILES):
                    yield {"entries": tuple(entries), "name": entries[0][1], "n_stored": size}
                    entries, size = [], 0
                path, repo, *about = place
                entries.append((os.path.abspath(os.fsdecode(full)), path, repo, n_bytes, *about))
                size += n_bytes
            if entries:
                yield {"entries": tuple(entries), "name": entries[0][1], "n_stored": size}

    def fingerprint(self) -> str:
        """A hash of what is read: names, sizes, times of change, commits and stars of all files and tables."""
        digest = hashlib.sha256()
        for source in self._sources:
            if isinstance(source, int):
                for *entry, place in self._ledger.listed(source):
                    digest.update(repr((*entry, *place)).encode())
            else:
                about = os.stat(source.full if isinstance(source, ParquetTable) else source.path)
                digest.update(repr((source.name, about.st_size, about.st_mtime_ns)).encode())
        return digest.hexdigest()

    def _of_listing(self, source: int, max_bytes: int) -> Iterator[tuple]:
        entries, size, digest = [], 0, hashlib.sha256()
        for full, n_bytes, changed, place in self._ledger.listed(source):
            weight = n_bytes if n_bytes <= MAX_BYTES else 0
            if entries and (size + weight > max_bytes or len(entries) == SHARD_FILES):
                yield self._listed_shard(entries, digest)
                entries, size, digest = [], 0, hashlib.sha256()
            entry = (full, n_bytes, self._ledger.id_of(place.origin, place.repo, place.path, where=place.path), place)
            entries.append(entry)
            digest.update(repr((*entry[:-1], *place, changed)).encode())
            size += weight
        if entries:
            yield self._listed_shard(entries, digest)

    def _listed_shard(self, entries: list[tuple], digest) -> tuple:
        n_stored = sum(n_bytes for _, n_bytes, _, _ in entries)
        first = entries[0][-1].path
        return digest.hexdigest(), first, len(entries), n_stored, partial(read_listed, entries)

    def _of_table(self, table: ParquetTable | JsonLines, max_bytes: int) -> Iterator[tuple]:
        row = 0
        for rows, n_stored in _packed(table.slices(max_bytes, self.problems), max_bytes):
            places = rows.select(pl.col("origin").fill_null("folder"), "repo", "path", "doc_id").iter_rows()
            ids = [
                self._ledger.id_of(*place, where=f"row {at:,} of {table.name}")
                for at, place in enumerate(places, row + 1)
            ]
            row += rows.height
            rows = rows.with_columns(pl.Series("doc_id", ids, dtype=pl.String), pl.col("origin").fill_null("folder"))
            data = io.BytesIO()
            # The oldest layout has one buffer a column: equal rows are equal bytes, without those of other slices.
            rows.write_ipc(data, compat_level=pl.CompatLevel.oldest())
            key = hashlib.sha256(data.getbuffer()).hexdigest()
            yield key, rows["path"][0], rows.height, n_stored, partial(read_packed, data.getvalue())


def read_listed(entries: list[tuple]) -> pl.DataFrame:
    """Rows of listed files, read now. One that has become a link or a pipe since it was listed is unreadable."""
    rows = [place.row(read_again(full), doc_id=doc_id) for full, _, doc_id, place in entries]
    return pl.DataFrame(rows, infer_schema_length=None)


def read_packed(data: bytes) -> pl.DataFrame:
    """Rows of a table."""
    return pl.read_ipc(data)


def _packed(slices: Iterator[tuple[pl.DataFrame, int]], max_bytes: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """The rows of `slices` in pieces of at most `max_bytes` of text, or of one row."""
    held, size, stored = [], 0, 0
    for rows, n_stored in slices:
        start = 0
        stored += n_stored
        for at, n_bytes in enumerate(rows["text"].str.len_bytes().fill_null(0)):
            if size + n_bytes > max_bytes and (at > start or held):
                yield pl.concat([*held, rows[start:at]]), stored
                held, size, stored, start = [], 0, 0, at
            size += n_bytes
        if start < rows.height:
            held.append(rows[start:])
        if sum(part.height for part in held) >= SHARD_FILES:
            yield pl.concat(held), stored
            held, size, stored = [], 0, 0
    if held:
        yield pl.concat(held), stored


def open_inputs(
    paths: Sequence[str],
    columns: Columns | None = None,
    outputs: Sequence[Path] = (),
    stars: StarsOf | None = None,
    max_hub_files: int | None = None,
) -> Inputs:
    """The inputs at `paths`: folders, files, tables, or patterns of these.

    A folder's files have ids, paths and repositories as `collect_folder` gives them; a single file's path starts below
    the folder it lies in, one found by a pattern below the part without a wildcard. outputs: paths that are never
    input, whatever folder or pattern they lie in. stars: of a repository (see `corpora.stars`), for files of folders;
    tables have a column of their own. Raises InputError for what cannot work, before anything is read.
    """
    opened = Inputs(columns or Columns(), stars)
    own = {os.path.realpath(os.fsencode(path)) for path in outputs}
    known: set[Path] = set()
    for given in paths:
        if str(given).startswith(PREFIX):
            _add_hub(opened, str(given), max_hub_files)
            continue
        for path, root in _expanded(str(given)):
            place = path.resolve()
            if root is not None and place != root.resolve() / path.relative_to(root):
                opened.skipped["symbolic link"] += 1
                continue
            real = os.fsencode(place)
            if real in own or any(real.startswith(output + b"/") for output in own):
                if root is None:
                    raise InputError(f"{path} is both an input and the output. Write to another file.")
                opened.skipped["own output"] += 1
                continue
            _refuse_overlap(place, path, known)
            known.add(place)
            _add(opened, path, root, own)
    opened.forget_folders()
    if opened.total_bytes == opened.num_listed == 0 and not opened.tables:
        found = ", ".join(f"{n} x {what}" for what, n in sorted(opened.skipped.items())) or "nothing"
        raise InputError(
            f"There are no files in {', '.join(map(repr, paths))}: found {found}. Give a folder with files."
        )
    return opened


def _add_hub(opened: Inputs, name: str, max_files: int | None) -> None:
    """Open a data set of the hub. Its name in the inputs is that with the commit, whatever revision was asked for."""
    tables = hub_tables(name, opened.columns, max_files)
    if tables.name in opened.names:
        raise InputError(f"{name!r} is given twice: its files would count twice. Give it once.")
    columns = replace(tables.columns, language=tables.language, constants=tuple(sorted(tables.constants.items())))
    for path in tables.paths:
        opened.add_table(ParquetTable(path, columns))
    opened.names.append(tables.name)


def _expanded(given: str) -> list[tuple[Path, Path | None]]:
    """(path, the folder a pattern's files are named from or null) of an input. Raises InputError if there is none."""
    path = Path(given)
    if os.path.lexists(path):
        return [(path, None)]
    if not glob.has_magic(given):
        folder = path.parent
        near = did_you_mean(path.name, os.listdir(folder)) if folder.is_dir() else ""
        near = near if "mean" in near else ""
        raise InputError(f"There is no file or folder {printable_path(given)!r}.{near} Check the path.")
    fixed = next((part for part in (path, *path.parents) if not glob.has_magic(str(part))), Path())
    found = sorted(map(Path, glob.iglob(given, recursive=True)), key=os.fsencode)
    folders = {match for match in found if match.is_dir()}
    found = [match for match in found if folders.isdisjoint(match.parents)]
    if not found:
        raise InputError(f"Nothing matches the pattern {printable_path(given)!r}. Look what is in {str(fixed)!r}.")
    return [(match, fixed) for match in found]


def _refuse_overlap(place: Path, given: Path, known: set[Path]) -> None:
    if place in known:
        raise InputError(f"{str(given)!r} is given twice: its files would count twice. Give it once.")
    within = next((parent for parent in place.parents if parent in known), None)
    if within is None and place.is_dir():
        within = next((place for other in known if place in other.parents), None)
    if within is not None:
        raise InputError(
            f"{str(given)!r} and another input lie one inside the other ({str(within)!r}): files would count twice. "
            "Give the outer one only."
        )


def _add(opened: Inputs, path: Path, root: Path | None, own: set[bytes]) -> None:
    """Open one input. root: what a file found by a pattern is named from."""
    if path.is_dir():
        _list_folder(opened, path, own)
    elif path.name.lower().endswith(TABLES):
        opened.add_table((ParquetTable if path.suffix.lower() == ".parquet" else JsonLines)(path, opened.columns))
    elif root is None and path.name.lower().endswith(OTHER_TABLES):
        raise InputError(
            f"{str(path)!r} is a table of a kind that is not read. Write Parquet, or JSON Lines ({KINDS})."
        )
    elif path.is_file() or root is not None:
        folder = opened.folder_at(root or path.parent)
        relative = os.path.relpath(os.fsencode(path), folder.root)
        if what := opened.add_file(os.path.realpath(os.fsencode(path)), partial(folder.place_of, relative)):
            opened.skipped[what] += 1
    else:
        raise InputError(f"{str(path)!r} is neither a folder nor a regular file. Give what holds the source files.")
    opened.names.append(printable_path(os.path.abspath(path)))


def _list_folder(opened: Inputs, path: Path, own: set[bytes]) -> None:
    """List the files of a folder. Raises InputError if all of them are tables."""
    folder = opened.folder_at(path)
    real = os.path.realpath(folder.root)
    num_files = num_tables = 0
    for relative, what in folder.walk():
        place = os.path.join(real, relative)
        if place in own or any(place.startswith(output + b"/") for output in own):
            what = "own output"
        what = what or opened.add_file(os.path.join(folder.root, relative), partial(folder.place_of, relative))
        if what:
            opened.skipped[what] += 1
        else:
            num_files += 1
            num_tables += os.fsdecode(relative).lower().endswith(TABLES)
    if num_files and num_files == num_tables:
        raise InputError(
            f"{str(path)!r} holds only tables. A folder is read as source files; for tables give a pattern, "
            f"for example {str(path / '*.parquet')!r}."
        )
