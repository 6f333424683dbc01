"""Signals of a corpus, shard by shard: the frame that thresholds are applied to, any number of times."""

from collections.abc import Iterator

import polars as pl

from opencoder_lib.files import remaining
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import signals as _registered  # noqa: F401
from opencoder_lib.quality.registry import PROGRAMS, SCOPES, UNTOKENISED, WORD_VIEWS, signal_names, signals_of
from opencoder_lib.quality.views import Views

SHARD_BYTES = 8_000_000


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


def compute_signals(files: pl.DataFrame, max_shard_bytes: int = SHARD_BYTES) -> pl.DataFrame:
    """One row per file still in the corpus, in order: `doc_id` and one column per signal, null where not computable.

    Files of unknown or excluded type have no signals. The corpus is worked off in shards of at most `max_shard_bytes`
    (or one file), which bounds memory and changes no value. Source: the release's signal definitions.
    """
    scoped = with_scope(remaining(files))
    schema = {"doc_id": pl.String, **dict.fromkeys(signal_names(), pl.Float64)}
    parts = [pl.DataFrame(schema=schema)]
    for scope in SCOPES:
        for shard in _shards(scoped.filter(pl.col("scope") == scope), max_shard_bytes):
            views = Views(shard)
            columns = {
                name: pl.Series(entry.values(views), dtype=pl.Float64) for name, entry in signals_of(scope).items()
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

    Columns: scope, signal, files (that should have it), nulls, untokenised (nulls of Chinese and Japanese files, whose
    words need their own tokenizers), because (when else it is null). Only signals with nulls are listed.
    """
    scoped = with_scope(files).select("doc_id", "scope", "natural_language")
    joined = signals.join(scoped, on="doc_id", how="left")
    rows = []
    for scope in SCOPES:
        here = joined.filter(pl.col("scope") == scope)
        for name, entry in signals_of(scope).items():
            missing = here.filter(pl.col(name).is_null())
            if missing.height:
                words = bool(WORD_VIEWS & set(entry.views))
                untokenised = missing["natural_language"].is_in(UNTOKENISED).sum() if words else 0
                rows.append((scope, name, here.height, missing.height, untokenised, entry.null_when))
    names = ["scope", "signal", "files", "nulls", "untokenised", "because"]
    kinds = [pl.String, pl.String, pl.Int64, pl.Int64, pl.Int64, pl.String]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")
