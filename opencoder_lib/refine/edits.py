"""Changes of text by transforms: which bytes of a file give way to what, and what was changed, kept beside the files.

A transform finds spans; `apply` is the one place that cuts. What was cut is counted, by kind, and never told: a secret
must not move from a text into a report.
"""

from typing import NamedTuple

import polars as pl

from opencoder_lib.errors import SchemaError
from opencoder_lib.files import remaining

# start, end: byte offsets in the file's UTF-8; replacement: what stands there afterwards, empty for a cut.
SPANS = {"doc_id": pl.String, "start": pl.Int64, "end": pl.Int64, "replacement": pl.String, "kind": pl.String}
EDITS = {
    **{"doc_id": pl.String, "transform": pl.String, "kind": pl.String},
    **{"n": pl.Int64, "bytes_cut": pl.Int64},
}


class Transformed(NamedTuple):
    """Files after a transform, and what it changed: one row a file and kind, as EDITS has it.

    bytes_cut is negative where the replacements are longer than what stood there.
    """

    files: pl.DataFrame
    edits: pl.DataFrame


def apply(files: pl.DataFrame, spans: pl.DataFrame, transform: str) -> Transformed:
    """The texts of `files` with every span replaced; all else, and every byte outside the spans, is as it was.

    spans: a frame as SPANS has it, of files that are still in, in any order. Raises SchemaError when two spans of a
    file overlap, when one lies outside its text or cuts a character in two, or when its file is not in the corpus.
    """
    spans = spans.select(pl.col(name).cast(dtype) for name, dtype in SPANS.items()).sort("doc_id", "start", "end")
    places = spans.group_by("doc_id", maintain_order=True).agg("start", "end", "replacement")
    texts = remaining(files).select("doc_id", "text").join(places, on="doc_id", how="right", maintain_order="right")
    changed = [_replaced(*row) for row in texts.select("doc_id", "text", "start", "end", "replacement").iter_rows()]
    # No column of the user's has such a name.
    new = texts.select("doc_id", pl.Series("opencoder:new", changed, dtype=pl.String))
    joined = files.join(new, on="doc_id", how="left", maintain_order="left")
    after = joined.with_columns(text=pl.coalesce("opencoder:new", "text")).select(files.columns)
    cut = pl.col("end") - pl.col("start") - pl.col("replacement").str.len_bytes().cast(pl.Int64)
    counts = spans.group_by("doc_id", "kind").agg(n=pl.len().cast(pl.Int64), bytes_cut=cut.sum())
    edits = counts.with_columns(transform=pl.lit(transform)).select(*EDITS).sort("doc_id", "transform", "kind")
    return Transformed(after, edits)


def _replaced(doc_id: str, text: str | None, starts: list[int], ends: list[int], replacements: list[str]) -> str:
    if text is None:
        raise SchemaError(f"A transform changes doc_id {doc_id!r}, which is not in the corpus or has no text.")
    data, parts, at = text.encode("utf-8", "surrogatepass"), [], 0
    for start, end, replacement in zip(starts, ends, replacements, strict=True):
        if not at <= start <= end <= len(data):
            raise SchemaError(
                f"A transform changes bytes {start:,} to {end:,} of doc_id {doc_id!r}: they overlap others or lie "
                f"outside its {len(data):,} bytes."
            )
        parts += [data[at:start], replacement.encode()]
        at = end
    parts.append(data[at:])
    try:
        return b"".join(parts).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError(f"A transform cuts a character of doc_id {doc_id!r} in two ({error}).") from None


def count_edits(edits: pl.DataFrame) -> pl.DataFrame:
    """What was changed in all: one row a transform and kind with `files`, `n` and `bytes_cut`; most files first."""
    counts = edits.group_by("transform", "kind").agg(
        pl.len().cast(pl.Int64).alias("files"), pl.col("n").sum(), pl.col("bytes_cut").sum()
    )
    return counts.sort("transform", "files", "kind", descending=[False, True, False])
