"""Preprocessing: only source files of a known, wanted type and a sane size go on (paper section 2.1.1)."""

import polars as pl

from opencoder_lib import MB
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import check, mark_removed, remaining
from opencoder_lib.languages import with_languages


def keep_source_files(files: pl.DataFrame, max_bytes: int = 8 * MB) -> pl.DataFrame:
    """Only text of a known type and at most `max_bytes` remains; `language` and `category` are filled in.

    The first reason that holds is recorded, in this order: preprocess.too_large, .unreadable, .binary, .undecodable,
    .excluded_type, .unknown_type. Files that could not be read arrive with their reason and keep it; text with a NUL
    is binary. For too_large, `measured` is the size in bytes. Raises ConfigError if `max_bytes` is not positive.
    Source: section 2.1.1 (8 MB); the official release for dropping both excluded and unknown types.
    """
    if max_bytes <= 0:
        raise ConfigError(f"max_bytes must be positive, not {max_bytes}. The paper uses {8 * MB:,}.")
    files = with_languages(check(files))
    reason = (
        pl.when(pl.col("n_bytes") > max_bytes)
        .then(pl.lit("too_large"))
        .when(pl.col("text").str.contains("\0", literal=True))
        .then(pl.lit("binary"))
        .when(pl.col("category") == "excluded")
        .then(pl.lit("excluded_type"))
        .when(pl.col("category") == "unknown")
        .then(pl.lit("unknown_type"))
    )
    judged = remaining(files).with_columns(reason=reason).filter(pl.col("reason").is_not_null())
    too_large = pl.col("reason") == "too_large"
    return mark_removed(
        files,
        judged.select(
            "doc_id",
            removed_by=pl.lit("preprocess.") + pl.col("reason"),
            measured=pl.when(too_large).then(pl.col("n_bytes").cast(pl.Float64)),
        ),
    )


def count_reasons(files: pl.DataFrame) -> pl.DataFrame:
    """What preprocessing removed: one row per reason with `n_files`, `n_bytes` and its most frequent extensions."""
    gone = files.filter(pl.col("removed_by").str.starts_with("preprocess."))
    extension = pl.col("path").str.extract(r"(\.[^./]*)$").fill_null("(none)")
    shares = gone.group_by("removed_by", extension=extension).len().sort("len", "extension", descending=[True, False])
    frequent = shares.group_by("removed_by").agg(mostly=pl.col("extension").head(5).str.join(" "))
    totals = gone.group_by("removed_by").agg(n_files=pl.len().cast(pl.Int64), n_bytes=pl.col("n_bytes").sum())
    joined = totals.join(frequent, on="removed_by").sort("n_files", "removed_by", descending=[True, False])
    return joined.rename({"removed_by": "reason"})
