"""The file frame: one Polars row per file, and the contract every stage keeps.

A stage takes the frame and returns it with the same `doc_id`s in the same order. It removes a file by
filling `removed_by`; a removed row is never touched again and never brought back; only transforms change
`text`. That is why `funnel`, `show_removed` and `score` need nothing but the frame.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from opencoder_lib.errors import SchemaError, did_you_mean
from opencoder_lib.seeds import hash_share

CATEGORIES = ("code", "data", "text", "excluded", "unknown")
ORIGINS = ("installed", "planted", "folder", "git", "hub", "web", "synthetic")

SCHEMA: dict[str, pl.DataType] = {
    "doc_id": pl.String(),
    "text": pl.String(),
    "path": pl.String(),
    "repo": pl.String(),
    "license": pl.String(),
    "language": pl.String(),
    "category": pl.Enum(CATEGORIES),
    "natural_language": pl.String(),
    "n_bytes": pl.Int64(),
    "stars": pl.Int32(),
    "committed_at": pl.Datetime("us"),
    "origin": pl.Enum(ORIGINS),
    "removed_by": pl.String(),
    "survivor": pl.String(),
    "measured": pl.Float64(),
    "truth": pl.String(),
}
REQUIRED = ("doc_id", "path", "origin")
JUDGEMENT = ("removed_by", "survivor", "measured")


def doc_id(origin: str, repo: str | None, path: str, occurrence: int = 0) -> str:
    """32 hexadecimal digits that depend on where a file was found, never on its text.

    `occurrence` counts earlier rows with the same origin, repo and path. Changing a file's text keeps its
    id, so judgements stored beside the documents stay attached to them.
    """
    key = "\x1f".join([origin, repo or "", path, str(occurrence)])
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def new_files(rows: pl.DataFrame | Iterable[Mapping]) -> pl.DataFrame:
    """A complete file frame from rows that have at least `path` and `origin`; other columns pass through.

    Missing columns become null, `n_bytes` is taken from the text, ids are derived where absent.
    Raises SchemaError on a repeated given id or a column of the wrong type.
    """
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(list(rows), infer_schema_length=None)
    for name in ("path", "origin"):
        if name not in frame.columns:
            raise SchemaError(f"A file frame needs the column {name!r}; it has {frame.columns}.")
    for name, dtype in SCHEMA.items():
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=dtype).alias(name))
        elif frame.schema[name] != dtype:
            try:
                frame = frame.with_columns(pl.col(name).cast(dtype))
            except pl.exceptions.PolarsError as error:
                raise SchemaError(f"Column {name!r} must be {dtype}, it is {frame.schema[name]}: {error}") from None
    frame = frame.with_columns(
        n_bytes=pl.coalesce("n_bytes", pl.col("text").str.len_bytes().cast(pl.Int64)),
        doc_id=pl.Series(_derive_ids(frame), dtype=pl.String),
    )
    extra = [name for name in frame.columns if name not in SCHEMA]
    return check(frame.select(*SCHEMA, *extra))


def _derive_ids(frame: pl.DataFrame) -> list[str]:
    seen: Counter = Counter()
    ids = []
    for given, origin, repo, path in frame.select("doc_id", "origin", "repo", "path").iter_rows():
        place = (origin, repo, path)
        ids.append(given if given is not None else doc_id(origin, repo, path, seen[place]))
        seen[place] += 1
    return ids


def check(files: pl.DataFrame) -> pl.DataFrame:
    """Return `files` unchanged if it is a valid file frame, else raise SchemaError naming what is wrong."""
    for name, dtype in SCHEMA.items():
        if name not in files.columns:
            raise SchemaError(f"Not a file frame: column {name!r} is missing. Build it with new_files().")
        if files.schema[name] != dtype:
            raise SchemaError(f"Column {name!r} must be {dtype}, it is {files.schema[name]}.")
    for name in REQUIRED:
        if nulls := files[name].null_count():
            raise SchemaError(f"Column {name!r} must not be null; {nulls} of {files.height} rows are.")
    if files["doc_id"].n_unique() != files.height:
        repeated = files.filter(pl.col("doc_id").is_duplicated())["doc_id"][0]
        raise SchemaError(
            f"doc_id {repeated!r} occurs more than once; ids must be unique. Drop the column to derive them."
        )
    undecodable = files.filter(pl.col("text").is_null() & pl.col("removed_by").is_null())
    if undecodable.height:
        raise SchemaError(
            f"{undecodable.height} files in the corpus have no text (first: {undecodable['path'][0]!r}). "
            "A file that cannot be decoded must be removed with the reason in removed_by."
        )
    return files


def judged(documents: pl.DataFrame, judgements: pl.DataFrame, texts: pl.DataFrame | None = None) -> pl.DataFrame:
    """The documents as later stages left them: with these judgements, and the texts that a transform changed.

    documents: a file frame. judgements: `doc_id` and the judgement columns. texts: `doc_id` and `text` of the files
    whose text changed.
    """
    joined = documents.drop(JUDGEMENT).join(judgements, on="doc_id", how="left", maintain_order="left")
    if texts is not None:
        joined = joined.update(texts, on="doc_id")
    return check(joined.select(documents.columns))


def remaining(files: pl.DataFrame) -> pl.DataFrame:
    """The rows that no stage has removed."""
    return files.filter(pl.col("removed_by").is_null())


def in_hash_order(files: pl.DataFrame, key: str) -> pl.DataFrame:
    """The rows in an order that depends on `key` and their ids alone: the first n are a sample of n.

    Sorting whatever subset reaches a chapter gives the same relative order, so samples of nested corpora are nested.
    """
    place = pl.Series([hash_share(key, name) for name in files["doc_id"]], dtype=pl.Float64)
    return files.with_columns(_place=place).sort("_place", "doc_id").drop("_place")


def mark_removed(files: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    """Return `files` with the rows of `hits` removed, keeping the stage contract.

    hits: one row per removed file with `doc_id`, `removed_by` and optionally `survivor` and `measured`.
    Rows that an earlier stage removed keep its reason. Raises SchemaError on an unknown or repeated id.
    """
    if hits["doc_id"].n_unique() != hits.height:
        raise SchemaError("A stage removed the same doc_id twice; give one reason per file.")
    strangers = hits.join(files, on="doc_id", how="anti")
    if strangers.height:
        raise SchemaError(f"A stage removed doc_id {strangers['doc_id'][0]!r}, which is not in the frame.")
    for name in JUDGEMENT:
        dtype = SCHEMA[name]
        column = pl.col(name).cast(dtype) if name in hits.columns else pl.lit(None, dtype=dtype)
        hits = hits.with_columns(column.alias(name))
    columns = files.columns
    new = hits.select("doc_id", *(pl.col(name).alias(f"opencoder:new_{name}") for name in JUDGEMENT))
    free = pl.col("removed_by").is_null() & pl.col("opencoder:new_removed_by").is_not_null()
    joined = files.join(new, on="doc_id", how="left", maintain_order="left")
    judged = [pl.when(free).then(f"opencoder:new_{name}").otherwise(name).alias(name) for name in JUDGEMENT]
    return joined.with_columns(judged).select(columns)


def stage_of(column: str = "removed_by") -> pl.Expr:
    """The stage in a reason: 'fuzzy' of 'fuzzy.near_duplicate'."""
    return pl.col(column).str.split(".").list.first()


def removed_for(reason: str) -> pl.Expr:
    """Whether a row was removed by a stage ('fuzzy') or for one reason ('fuzzy.near_duplicate')."""
    return (pl.col("removed_by") == reason) | pl.col("removed_by").str.starts_with(reason + ".")


def real(files: pl.DataFrame) -> pl.DataFrame:
    """The rows that were found, not planted: headline shares count these only."""
    return files.filter(pl.col("origin") != "planted")


def reached(files: pl.DataFrame, stage: str) -> pl.DataFrame:
    """The rows that `stage` judged: those it removed and those still in. Ask before a later stage removes more."""
    return files.filter(pl.col("removed_by").is_null() | (stage_of() == stage))


def funnel(files: pl.DataFrame, stages: Iterable[str], edits: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row per stage: files and bytes before, removed and after, for real files.

    Columns: stage, files_before, files_removed, files_after, bytes_before, bytes_removed, bytes_after,
    frac_files_removed, frac_bytes_removed (shares of what reached the stage). edits: what the stage `transform` cut
    (`doc_id`, `bytes_cut`): it removes these bytes, and from there on bytes are those of the texts as they are then.
    Raises SchemaError if the frame holds removals of a stage that is not listed.
    """
    stages = list(stages)
    found = real(files).with_columns(stage=stage_of(), cut=pl.lit(0, dtype=pl.Int64))
    if edits is not None and "transform" in stages:
        cuts = edits.group_by("doc_id").agg(cut=pl.col("bytes_cut").sum())
        found = found.update(cuts, on="doc_id")
    if strange := set(found["stage"].drop_nulls()) - set(stages):
        raise SchemaError(
            f"funnel() was not told of the stage(s) {sorted(strange)}.{did_you_mean(min(strange), stages)}"
        )
    rows, n_files, n_bytes = [], found.height, int(found["n_bytes"].sum())
    for stage in stages:
        gone = found.filter(pl.col("stage") == stage)
        files_removed, bytes_removed = gone.height, int(gone["n_bytes"].sum())
        if stage == "transform":
            bytes_removed = int(found["cut"].sum())
        elif "transform" in stages[: stages.index(stage)]:
            bytes_removed -= int(gone["cut"].sum())
        rows.append(
            (stage, n_files, files_removed, n_files - files_removed, n_bytes, bytes_removed, n_bytes - bytes_removed)
        )
        n_files, n_bytes = n_files - files_removed, n_bytes - bytes_removed
    names = ["stage", "files_before", "files_removed", "files_after", "bytes_before", "bytes_removed", "bytes_after"]
    frame = pl.DataFrame(rows, schema=dict(zip(names, [pl.String, *[pl.Int64] * 6], strict=False)), orient="row")
    return frame.with_columns(
        frac_files_removed=pl.col("files_removed") / pl.col("files_before"),
        frac_bytes_removed=pl.col("bytes_removed") / pl.col("bytes_before"),
    )


def show_removed(files: pl.DataFrame, reason: str, n: int = 5) -> pl.DataFrame:
    """The first `n` files (by id, so always the same ones) that a stage or one rule removed.

    reason: a stage ('fuzzy') or a full reason ('filter.python.mostly_pass'). Raises SchemaError if the reason
    removed nothing, with near names.
    """
    here = files.filter(removed_for(reason))
    if here.is_empty():
        reasons = set(files["removed_by"].drop_nulls())
        raise SchemaError(
            f"Nothing was removed by {reason!r}.{did_you_mean(reason, reasons | {r.split('.')[0] for r in reasons})}"
        )
    return here.sort("doc_id").head(n)


def score(files: pl.DataFrame, stage: str) -> dict[str, float | int | None]:
    """Precision and recall of a stage on the planted files, whose truth is known.

    A planted file counts for `stage` when its truth is '<stage>.<defect>', and as a negative otherwise. Files that
    an earlier stage removed never reached this one and are left out. Shares are null where nothing was counted.
    """
    planted = reached(files, stage).filter(pl.col("truth").is_not_null())
    defect = planted["truth"].str.starts_with(stage + ".")
    removed = planted["removed_by"].is_not_null()
    hits, n_removed, n_defects = int((defect & removed).sum()), int(removed.sum()), int(defect.sum())
    return {
        "planted": n_defects,
        "removed": n_removed,
        "hits": hits,
        "precision": hits / n_removed if n_removed else None,
        "recall": hits / n_defects if n_defects else None,
    }


def content_hash(files: pl.DataFrame) -> str:
    """SHA-256 over the rows sorted by `doc_id`: equal for any sharding or order of the same rows."""
    digest = hashlib.sha256()
    for row in files.sort("doc_id").select(sorted(files.columns)).iter_rows():
        digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
