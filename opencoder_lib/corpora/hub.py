"""Data sets of the Hugging Face hub: which ones are known (hub.toml), what their columns become, and reading them.

dataset = find_dataset("hub:OpenCoder-LLM/RefineCode-code-corpus-meta")
paths = download(dataset)                                   # corpora/hub_fetch.py
metadata_composition(scan_metadata(paths, dataset))         # files and bytes per language, in bounded memory

Columns are checked against the entry when a file is opened; further columns are no error and pass through.
"""

import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

from opencoder_lib.corpora.tables import first_line
from opencoder_lib.errors import ConfigError, InputError, did_you_mean
from opencoder_lib.files import SCHEMA, new_files
from opencoder_lib.languages import UNKNOWN, category_of

PREFIX = "hub:"
STANDARD = ("path", "repo", "language", "category", "n_bytes", "license", "stars", "committed_at")
KINDS = {
    "string": lambda dtype: dtype in (pl.String, pl.Categorical, pl.Enum),
    "strings": lambda dtype: dtype == pl.List(pl.String),
    "integer": lambda dtype: dtype.is_integer(),
    "timestamp": lambda dtype: dtype in (pl.Date, pl.Datetime),
    "boolean": lambda dtype: dtype == pl.Boolean,
}
# What a column must be to become one of ours.
FITS = {
    **dict.fromkeys(("path", "repo", "language", "category"), ("string",)),
    "license": ("string", "strings"),
    **dict.fromkeys(("n_bytes", "stars"), ("integer",)),
    "committed_at": ("timestamp",),
}


@dataclass(frozen=True)
class Dataset:
    """A data set, and the part and the state of it that is wanted: `config` and `revision` are null for all and `main`.

    kind: "texts", "metadata", or "table" for one that hub.toml does not know: no column is required of it, and it is
    read with the columns that the user names. The other fields are those of hub.toml.
    """

    id: str
    kind: str = "table"
    files: str = "**/*.parquet"
    config: str | None = None
    revision: str | None = None
    required: dict = field(default_factory=dict)
    optional: dict = field(default_factory=dict)
    unverified: dict = field(default_factory=dict)
    map: dict = field(default_factory=dict)
    constant: dict = field(default_factory=dict)
    configs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    licence: str | None = None
    paper: str | None = None
    gated: bool = False
    n_rows: int | None = None
    text_at: str | None = None

    @property
    def name(self) -> str:
        """What `find_dataset` was given, with the id in its present spelling."""
        part = f"/{self.config}" if self.config else ""
        return f"{PREFIX}{self.id}{part}{'@' + self.revision if self.revision else ''}"

    @property
    def pattern(self) -> str:
        """The pattern of the wanted files in the repository."""
        if self.config and "{config}" not in self.files:
            return f"{self.config}/{self.files}"
        return self.files.replace("{config}", self.config or "*")


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((package_files("opencoder_lib.corpora") / "hub.toml").read_text(encoding="utf-8"))


@cache
def known_datasets() -> dict[str, Dataset]:
    """The entries of hub.toml by id. Raises ConfigError on a kind of type that does not exist."""
    table = {name: entry for name, entry in _table().items() if name != "languages"}
    return {name: _entry(name, {**table.get(entry.get("like"), {}), **entry}) for name, entry in table.items()}


def _entry(name: str, about: dict[str, Any]) -> Dataset:
    kinds = {kind for part in ("required", "optional", "unverified") for kind in about.get(part, {}).values()}
    if strange := kinds - set(KINDS):
        raise ConfigError(f"hub.toml, {name}: no column can be {min(strange)!r}.{did_you_mean(min(strange), KINDS)}")
    lists = {part: tuple(about.get(part, ())) for part in ("configs", "also")}
    return Dataset(id=name, **{part: value for part, value in about.items() if part != "like"} | lists)


def find_dataset(name: str) -> Dataset:
    """The data set that `hub:OWNER/NAME[/CONFIG][@REVISION]` names; the prefix may be left out.

    One that hub.toml does not know is a plain table of Parquet files: whether it exists, the hub knows. Raises
    InputError when the name is none, or names a config that a known data set has not.
    """
    place, at, revision = name.removeprefix(PREFIX).partition("@")
    parts = place.split("/")
    named = [part for part in parts if part and part not in (".", "..") and part.isprintable() and " " not in part]
    if len(parts) not in (2, 3) or named != parts or (at and not revision):
        raise InputError(
            f"{name!r} names no data set of the hub. Write hub:OWNER/NAME or hub:OWNER/NAME@REVISION, for example "
            f"{PREFIX}{max(known_datasets(), key=len)}@main."
        )
    given = "/".join(parts[:2])
    spelt = {other.casefold(): entry for entry in known_datasets().values() for other in (entry.id, *entry.also)}
    entry = spelt.get(given.casefold(), Dataset(given))
    config = parts[2] if len(parts) == 3 else None
    if config and entry.configs and config not in entry.configs:
        raise InputError(f"{entry.id} has no config {config!r}.{did_you_mean(config, entry.configs)}")
    return replace(entry, config=config, revision=revision or None)


def open_local(dataset: Dataset, paths: Sequence[Path]) -> list[pl.LazyFrame]:
    """Each file as a lazy frame with its own columns, checked: Parquet, Arrow IPC files, or Arrow IPC streams.

    Raises InputError naming the file and each column that the data set must have and the file has not, or that is of
    another type; and on a file that cannot be read, or no file at all.
    """
    if not paths:
        raise InputError(f"{dataset.id}: there is no file to open. Download some, or name them.")
    frames = []
    for path in map(Path, paths):
        try:
            frame = _scan(path)
            schema = frame.collect_schema()
        except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{str(path)!r} cannot be read as Parquet or Arrow ({first_line(error)}). Delete it and download again."
            ) from None
        _check(dataset, schema, path)
        frames.append(frame)
    return frames


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix != ".arrow":
        return pl.scan_parquet(path, glob=False)
    with path.open("rb") as stream:
        is_file = stream.read(6) == b"ARROW1"
    if is_file:
        return pl.scan_ipc(path)
    # `datasets` writes streams, which Polars cannot scan. What is deferred holds no memory for the other files.
    with path.open("rb") as stream:
        empty = pl.from_arrow(ipc.open_stream(stream).schema.empty_table())
    return pl.defer(lambda: _read_stream(path), schema=empty.schema)


def _read_stream(path: Path) -> pl.DataFrame:
    with pa.memory_map(str(path)) as mapped, ipc.open_stream(mapped) as stream:
        return pl.from_arrow(stream.read_all())


def _check(dataset: Dataset, schema: pl.Schema, path: Path) -> None:
    wrong = []
    for name, kind in {**dataset.required, **dataset.optional}.items():
        if name not in schema:
            if name in dataset.required:
                wrong.append(f"no column {name!r} ({kind}).{did_you_mean(name, schema.names())}")
        # A column without a single value has no type of its own in some writers.
        elif not KINDS[kind](schema[name]) and (schema[name] != pl.Null or name in dataset.map.get("text", ())):
            wrong.append(f"the column {name!r} as {schema[name]}, not as {kind}.")
    if wrong:
        raise InputError(
            f"{str(path)!r} is not what {dataset.id} holds. It has {' It has '.join(wrong)} Was it made from another "
            "data set, or has this one changed? Then name the revision it was made for."
        )


def scan_metadata(paths: Sequence[Path], dataset: Dataset) -> pl.LazyFrame:
    """The columns of `STANDARD` for all rows of all files, lazily, in the order of the files.

    language is in the words of languages.toml where it has the language, lower-cased where not; category is the data
    set's own, else that of the language. A column that the data set has not is null. Raises what `open_local` raises.
    """
    frames = open_local(dataset, paths)
    return pl.concat([frame.select(*_standard(dataset, frame.collect_schema()).values()) for frame in frames])


def metadata_composition(scan: pl.LazyFrame) -> pl.DataFrame:
    """Files and bytes per language: language, category, n_files, n_bytes; most bytes first. Memory is bounded.

    A file without a language counts as 'unknown', one without a size as 0 bytes.
    """
    kind = pl.col("category").cast(pl.String)
    counts = (
        scan.group_by(language=pl.col("language").fill_null(UNKNOWN), category=kind.fill_null(UNKNOWN))
        .agg(n_files=pl.len().cast(pl.Int64), n_bytes=pl.col("n_bytes").sum())
        .collect(engine="streaming")
    )
    order = ["n_bytes", "n_files", "language", "category"]
    counts = counts.sort(order, descending=[True, True, False, False])
    return counts.with_columns(pl.col("category").cast(SCHEMA["category"]))


def as_files(frame: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """A file frame of rows as `open_local` gives them; origin 'hub', columns of other names pass through.

    Rows of metadata have no text and are out as preprocess.unreadable: they serve compositions, and `with_contents`.
    Ids are unique within one call. Raises InputError for a data set of unknown columns without `path`.
    """
    found = _standard(dataset, frame.schema)
    text = dataset.map.get("text", ("text",) if dataset.kind == "table" else ())
    name = next((name for name in text if name in frame.columns), None)
    found["text"] = pl.col(name).cast(pl.String).alias("text") if name else pl.lit(None, pl.String).alias("text")
    keep = [column for column in frame.columns if column not in SCHEMA and column != name]
    rows = frame.select(*found.values(), *keep).with_columns(path=pl.col("path").fill_null(""), origin=pl.lit("hub"))
    reason = pl.when(pl.col("text").is_null()).then(pl.lit("preprocess.unreadable"))
    return new_files(rows.with_columns(removed_by=reason))


def rewrite(
    frame: pl.LazyFrame, target: Path, make: Callable[[pl.DataFrame, int], pl.DataFrame], slice_rows: int
) -> None:
    """`target` is a Parquet file of what `make` gives for each slice of `frame` and its first row's number.

    It appears when it is whole. `make` gives the same columns each time, also for a slice without rows. Raises
    InputError when rows cannot be read or written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.unfinished-{os.getpid()}")
    writer, start, rows = None, 0, None
    try:
        while rows is None or rows.height:
            rows = frame.slice(start, slice_rows).collect()
            table = make(rows, start).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pq.ParquetWriter(unfinished, table.schema, compression="zstd")
            writer.write_table(table)
            start += rows.height
        writer.close()
        os.replace(unfinished, target)
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{str(target)!r} cannot be made ({first_line(error)}). Is the disk full, or the file it is made from "
            "broken? Make room, or delete that file and download again."
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _standard(dataset: Dataset, schema: pl.Schema) -> dict[str, pl.Expr]:
    """What makes each column of `STANDARD` from a file with this schema."""
    found = {}
    for name in STANDARD:
        sources = dataset.map.get(name, (name,) if dataset.kind == "table" else ())
        fitting = (source for source in sources if source in schema and _fits(name, schema[source]))
        source = next(fitting, None)
        if name in dataset.constant:
            found[name] = pl.lit(dataset.constant[name], SCHEMA[name])
        elif source is None:
            found[name] = pl.lit(None, SCHEMA[name])
        else:
            found[name] = _cast(name, pl.col(source), schema[source])
    # The category that the data set gives, and where it gives none that of the language.
    # Elementwise, or streaming would end here.
    of_language = found["language"].map_batches(_categories, SCHEMA["category"], is_elementwise=True)
    found["category"] = pl.coalesce(found["category"], of_language)
    return {name: expression.alias(name) for name, expression in found.items()}


def _fits(name: str, dtype: pl.DataType) -> bool:
    return any(KINDS[kind](dtype) for kind in FITS[name])


def _cast(name: str, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.List(pl.String):
        # No licence found is an empty list, which is no licence by the name of "".
        joined = column.list.join(", ", ignore_nulls=True)
        return pl.when(joined != "").then(joined)
    if getattr(dtype, "time_zone", None):
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if name in ("language", "category"):
        column = column.cast(pl.String).str.to_lowercase()
    if name == "language":
        column = column.replace(_table()["languages"])
    if name == "path":
        column = column.cast(pl.String).str.strip_prefix("/")
    return column.cast(SCHEMA[name], strict=False)


def _categories(languages: pl.Series) -> pl.Series:
    table = {language: category_of(language) for language in languages.unique().drop_nulls()}
    kinds = languages.replace_strict(table or {"": UNKNOWN}, default=UNKNOWN, return_dtype=pl.String)
    return kinds.cast(SCHEMA["category"])
