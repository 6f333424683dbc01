"""Signals under the names of the official release, for comparing with its output column by column."""

from functools import cache

import polars as pl

from opencoder_lib.quality import signals as _registered  # noqa: F401
from opencoder_lib.quality.compute import with_scope
from opencoder_lib.quality.registry import SCOPES, SIGNALS, signals_of


def official_names() -> list[str]:
    """All names of the release that a signal here has, each once, in the order of registration."""
    return list(dict.fromkeys(entry.official for entry in SIGNALS.values() if entry.official))


@cache
def _by_scope() -> dict[str, dict[str, str]]:
    """Official name -> column, for the files of each scope."""
    return {
        scope: {entry.official: name for name, entry in signals_of(scope).items() if entry.official} for scope in SCOPES
    }


def with_official_names(files: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """`signals`, as `compute_signals` gives them for `files`, with a column per official name instead of per signal.

    `num_words` becomes qsc_doc_num_words for a text file and qsc_code_num_words for code; each is null for files that
    do not have it. Signals of our own have no official name and are left out. Same rows, same order.
    """
    scopes = with_scope(files).select("doc_id", "scope")
    joined = signals.join(scopes, on="doc_id", how="left", maintain_order="left")
    columns = []
    for official in official_names():
        value = pl.lit(None, dtype=pl.Float64)
        for scope, known in _by_scope().items():
            if official in known:
                value = pl.when(pl.col("scope") == scope).then(known[official]).otherwise(value)
        columns.append(value.alias(official))
    return joined.select("doc_id", *columns)
