"""Signals of a corpus, shard by shard: the frame that thresholds are applied to, any number of times."""

from collections.abc import Collection, Iterator

import polars as pl

from opencoder_lib.files import remaining
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import signals as _registered  # noqa: F401
from opencoder_lib.quality.registry import PROGRAMS, SCOPES, signal_names, signals_of
from opencoder_lib.quality.tokenizers import tokenizer_of
from opencoder_lib.quality.views import Views

# Arrays of four bytes a character stay below what the allocator gives back to the system after every use.
SHARD_BYTES = 4_000_000


def with_scope(files: pl.DataFrame) -> pl.DataFrame:
    """Return `files` with `scope`: text, a program with signals of its own, or code; null for files without signals."""
    files = with_languages(files)
    is_code = pl.col("category").is_in(["code", "data"])
    scope = (
        pl.when(pl.col("category") == "text")
        .then(pl.lit("text"))
        .when(is_code & pl.col("language").is_in(PROGRAMS))
        .then(pl.col("language"))
        .when(is_code)
        .then(pl.lit("code"))
    )
    return files.with_columns(scope=scope)


def compute_signals(
    files: pl.DataFrame, max_shard_bytes: int = SHARD_BYTES, names: Collection[str] | None = None
) -> pl.DataFrame:
    """One row per file still in the corpus, in order: `doc_id` and one column per signal, null where not computable.

    Files of unknown or excluded type have no signals. The corpus is worked off in shards of at most `max_shard_bytes`
    (or one file), which bounds memory and changes no value. names: only these signals; all by default. Whatever a file
    holds, 8 MB of it take less than 30 seconds on one core; Chinese and Japanese text takes up to 10 seconds a million
    characters.
    Source: the release's signal definitions.
    """
    scoped = with_scope(remaining(files)).with_columns(
        tokenizer=pl.col("natural_language").map_elements(tokenizer_of, return_dtype=pl.String)
    )
    wanted = [name for name in signal_names() if names is None or name in names]
    parts = [pl.DataFrame(schema={"doc_id": pl.String, **dict.fromkeys(wanted, pl.Float64)})]
    for (scope, tokenizer), group in scoped.filter(pl.col("scope").is_not_null()).group_by("scope", "tokenizer"):
        for shard in _shards(group, max_shard_bytes):
            views = Views(shard, tokenizer)
            columns = {
                name: pl.Series(entry.values(views), dtype=pl.Float64)
                for name, entry in signals_of(scope).items()
                if name in wanted
            }
            parts.append(pl.DataFrame({"doc_id": shard["doc_id"], **columns}))
    return scoped.select("doc_id").join(
        pl.concat(parts, how="diagonal"), on="doc_id", how="left", maintain_order="left"
    )


def _shards(files: pl.DataFrame, max_bytes: int) -> Iterator[pl.DataFrame]:
    """Consecutive pieces of at most `max_bytes` of text, or of one file."""
    sizes = files["text"].str.len_bytes().to_list()
    start = total = 0
    for index, size in enumerate(sizes):
        if index > start and total + size > max_bytes:
            yield files[start:index]
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield files[start:]


def null_report(files: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """How many files each signal could not be computed for, and why.

    Columns: scope, signal, files (that should have it), nulls, because (when it is null). Only signals with nulls are
    listed, and only those that `signals` has.
    """
    joined = signals.join(with_scope(files).select("doc_id", "scope"), on="doc_id", how="left")
    rows = []
    for scope in SCOPES:
        here = joined.filter(pl.col("scope") == scope)
        for name, entry in signals_of(scope).items():
            nulls = here[name].null_count() if name in signals.columns else 0
            if nulls:
                rows.append((scope, name, here.height, nulls, entry.null_when))
    names = ["scope", "signal", "files", "nulls", "because"]
    kinds = [pl.String, pl.String, pl.Int64, pl.Int64, pl.String]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")
