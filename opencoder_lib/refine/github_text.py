"""GitHub text: of the prose in repositories, what its file name promises to be about code (paper appendix C.2).

The paper recalls text in two steps: this rule, which keeps 3 % of the volume of text, and a trained model, which
recalls 7 % more and is the matter of a later chapter.
"""

import polars as pl

from opencoder_lib.files import check, mark_removed, remaining

PART = "requirement"  # anywhere in the lower-case name
STEMS = ("readme", "notes", "todo", "description", "cmakelists")  # the whole of it before the extension
REASON = "preprocess.unnamed_text"


def keep_named_text(files: pl.DataFrame) -> pl.DataFrame:
    """Of files of the category text only those remain whose name is one the paper lists; others are untouched.

    A name counts in lower case, without its folders: it holds "requirement", or is readme, notes, todo, description or
    cmakelists up to its last dot. Needs `category`, so keep_source_files comes before. Source: appendix C.2.
    """
    unnamed = remaining(check(files)).filter((pl.col("category") == "text") & _listed_name().is_null())
    return mark_removed(files, unnamed.select("doc_id", removed_by=pl.lit(REASON)))


def _listed_name() -> pl.Expr:
    """The listed name that a file's name answers to, null where it answers to none."""
    name = pl.col("path").str.split("/").list.last().str.to_lowercase()
    # A name that begins with its only dot has no extension.
    stem = pl.coalesce(name.str.extract(r"(?s)^(.+)\.[^.]*$"), name)
    listed = pl.when(stem.is_in(STEMS)).then(stem)
    return pl.when(name.str.contains(PART, literal=True)).then(pl.lit(PART)).otherwise(listed)


def count_named_text(files: pl.DataFrame) -> pl.DataFrame:
    """The text that reached the rule, by the name it answers to; names that are kept first, then most bytes.

    Columns: name (null for all that answer to none), kept, files, bytes, frac_bytes (of all text). The same before and
    after keep_named_text.
    """
    reached = pl.col("removed_by").is_null() | (pl.col("removed_by") == REASON)
    counts = (
        files.filter(reached & (pl.col("category") == "text"))
        .group_by(name=_listed_name())
        .agg(files=pl.len().cast(pl.Int64), bytes=pl.col("n_bytes").sum())
        .with_columns(kept=pl.col("name").is_not_null(), frac_bytes=pl.col("bytes") / pl.col("bytes").sum())
    )
    ordered = counts.sort("kept", "bytes", "name", descending=[True, True, False])
    return ordered.select("name", "kept", "files", "bytes", "frac_bytes")
