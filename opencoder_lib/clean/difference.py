"""What two outputs of `clean` differ in: what they were told, what became of each file, the texts, the languages.

Rows are matched by `doc_id`, which depends on where a file was found and never on its text. A narrow row of each file
is held: hashes of its id and of its text, its fate and its size. The text itself is read a row group at a time, and of
kept files only; the names of what changed are looked up in a second reading. Two outputs of six million short files
took 1.7 GB and 6 s: some 220 bytes for a file that is in both, and half as much again where most of them changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib.cells import flat, said
from opencoder_lib.clean.parts import num_rows, part, row_groups, write_frame
from opencoder_lib.errors import CookbookError, CorruptArtifact, InputError
from opencoder_lib.quality import load_rules
from opencoder_lib.quality.compare import changed_rules
from opencoder_lib.store import read_json

# 128 bits: that two ids of a billion share them is not to be expected.
ID = ["id", "id_too"]
FATE = pl.Categorical()
EXAMPLES = 3
ROWS_AT_ONCE = 1_000_000
CHANGES = {
    **dict.fromkeys(("doc_id", "change", "path", "repo", "language", "was", "is"), pl.String),
    **{"bytes_was": pl.Int64, "bytes_is": pl.Int64},
}


@dataclass(frozen=True)
class Difference:
    """What two outputs differ in. Frames are empty where nothing does.

    about: name, was, is (parameters, inputs, hashes, versions; words, null where an output does not know it).
    rules: rule, before, after, mends; null when the rulebooks are not at hand. files: how many rows are in `first`,
    `second`, `both`. fates: was, is (reason, `kept`, or `absent`), files, bytes, examples (doc_id, path, repo).
    texts: because (what made the text of kept files another one), files, bytes_was, bytes_is. survivors: files that
    went for the same reason in favour of another file. languages: language, files_was, files_is, bytes_was, bytes_is
    of kept files, where one differs. changed: id, id_too, change, was, is, bytes_was, bytes_is of every row that does.
    """

    about: pl.DataFrame
    rules: pl.DataFrame | None
    files: dict[str, int]
    fates: pl.DataFrame
    texts: pl.DataFrame
    survivors: int
    languages: pl.DataFrame
    changed: pl.DataFrame = field(repr=False)

    @property
    def nothing(self) -> bool:
        """Whether the two are equal in all that is compared."""
        return self.about.is_empty() and self.changed.is_empty()


def compare(first: Path, second: Path) -> Difference:
    """What differs between two outputs of `clean`, from the first to the second.

    Raises InputError when a folder is no complete output of `clean` or holds a damaged file.
    """
    reports = [_report_of(folder) for folder in (first, second)]
    about = [dict(report.get("about") or {}) for report in reports]
    rows = [_rows_of(folder) for folder in (first, second)]
    languages = _languages(*rows)
    files = {"first": rows[0].height, "second": rows[1].height}
    changed = _changed(*rows)
    del rows
    files["both"] = files["first"] - changed.filter(change="only in the first").height
    moved = changed.filter(pl.col("change").is_in(["fate", "only in the first", "only in the second"]))
    return Difference(
        about=_about(*about),
        rules=_rules(*about),
        files=files,
        fates=_fates(moved, first, second),
        texts=_texts(changed.filter(change="text"), first, second),
        survivors=changed.filter(change="survivor").height,
        languages=languages,
        changed=changed.select(*ID, "change", was="fate", bytes_was="bytes", bytes_is="bytes_is", **{"is": "fate_is"}),
    )


# Reading


def _report_of(folder: Path) -> dict[str, Any]:
    if not (folder / "report.json").is_file() or not all((folder / name).is_dir() for name in ("kept", "removed")):
        raise InputError(f"{str(folder)!r} is not the output of a complete run of opencoder clean.")
    try:
        report = read_json(folder / "report.json")
        read, kept = report["funnel"][0]["files_before"], report["funnel"][-1]["files_after"]
    except (CorruptArtifact, LookupError, TypeError):
        raise InputError(f"The report.json of {str(folder)!r} is not one of opencoder clean, or was damaged.") from None
    for name, noted in (("kept", kept), ("removed", read - kept)):
        if (found := num_rows(folder / name)) != noted:
            raise InputError(
                f"{str(folder)!r} was damaged: it {name} {noted:,} files, and {name}/ holds {found:,}. Make it again."
            )
    return report


def _groups(folder: Path, columns: dict[str, list[str]]) -> Iterator[pl.DataFrame]:
    """The row groups of an output; columns: which ones, of `kept` and of `removed`."""
    for name, wanted in columns.items():
        for path in sorted((folder / name).glob("*.parquet")):
            for group in row_groups(path, columns=wanted):
                if missing := sorted(set(wanted) - set(group.columns)):
                    raise InputError(f"{str(path)!r} has no column {missing[0]!r}: opencoder clean did not write it.")
                yield group


def _hashes(column: str = "doc_id") -> list[pl.Expr]:
    return [pl.col(column).hash(seed=at).alias(name) for at, name in enumerate(ID)]


def _rows_of(folder: Path) -> pl.DataFrame:
    """One narrow row for each file of an output: hashes of its id, its fate, its size and a hash of its text."""
    wanted = ["doc_id", "language", "removed_by", "survivor", "n_bytes"]
    found = []
    for group in _groups(folder, {"kept": [*wanted, "text"], "removed": wanted}):
        text = pl.col("text") if "text" in group.columns else pl.lit(None, dtype=pl.String)
        found.append(
            group.select(
                *_hashes(),
                fate=pl.col("removed_by").fill_null("kept").cast(FATE),
                language=pl.col("language").fill_null("unknown").cast(FATE),
                # Transforms change the text and leave n_bytes as it was found.
                bytes=pl.coalesce(text.str.len_bytes().cast(pl.Int64), "n_bytes").fill_null(0),
                found_bytes="n_bytes",
                text=text.hash(seed=0),
                survivor=pl.col("survivor").hash(seed=0),
            )
        )
    schema = {
        **dict.fromkeys(ID, pl.UInt64),
        **{"fate": FATE, "language": FATE, "bytes": pl.Int64, "found_bytes": pl.Int64},
        **{"text": pl.UInt64, "survivor": pl.UInt64},
    }
    return pl.concat([pl.DataFrame(schema=schema), *found], rechunk=True)


def _changed(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """The rows of both outputs beside each other, `_is` for the second, where they differ; `change` says how."""
    # A part of the ids after the other: a join takes as much memory again as what it joins.
    parts = 1 + max(first.height, second.height) // ROWS_AT_ONCE
    found = []
    for number in range(parts):
        here = [rows.filter(pl.col("id") % parts == number) for rows in (first, second)]
        both = here[0].join(here[1], on=ID, how="full", suffix="_is", coalesce=True)
        found.append(both.with_columns(change=_change()).filter(pl.col("change").is_not_null()))
    return pl.concat(found)


def _change() -> pl.Expr:
    """What is different about a row, null where nothing is; a file has one fate, so the first that holds."""
    return (
        pl.when(pl.col("fate_is").is_null())
        .then(pl.lit("only in the first"))
        .when(pl.col("fate").is_null())
        .then(pl.lit("only in the second"))
        .when(pl.col("fate") != pl.col("fate_is"))
        .then(pl.lit("fate"))
        .when(pl.col("text").ne_missing(pl.col("text_is")))
        .then(pl.lit("text"))
        .when(pl.col("survivor").ne_missing(pl.col("survivor_is")))
        .then(pl.lit("survivor"))
    )


# What the runs were told


def _about(first: dict[str, Any], second: dict[str, Any]) -> pl.DataFrame:
    was, now = flat(first), flat(second)
    rows = []
    for name in dict.fromkeys([*was, *now]):
        if name not in was or name not in now or was[name] != now[name]:
            words = [said(one[name]) if name in one else None for one in (was, now)]
            rows.append((name.removeprefix("settings."), *words))
    return pl.DataFrame(rows, schema=dict.fromkeys(("name", "was", "is"), pl.String), orient="row")


def _rules(first: dict[str, Any], second: dict[str, Any]) -> pl.DataFrame | None:
    """The rules that differ, if both rulebooks are still to be had and are the ones that were used."""
    if first.get("rulebook_sha256") == second.get("rulebook_sha256"):
        return pl.DataFrame(schema=dict.fromkeys(("rule", "before", "after", "mends"), pl.String))
    books = []
    for about in (first, second):
        name = (about.get("settings") or {}).get("rulebook")
        try:
            books.append(load_rules(name or "released"))
        except CookbookError:
            return None
        if books[-1].sha256 != about.get("rulebook_sha256"):
            return None
    return changed_rules(*books)


# What became of the files


def _fates(moved: pl.DataFrame, first: Path, second: Path) -> pl.DataFrame:
    """was, is, files, bytes, examples; most files first."""
    words = [
        pl.col(name).cast(pl.String).fill_null("absent").alias(to) for name, to in (("fate", "was"), ("fate_is", "is"))
    ]
    moved = moved.with_columns(words)
    counts = moved.group_by("was", "is").agg(
        files=pl.len().cast(pl.Int64), bytes=pl.coalesce("found_bytes", "found_bytes_is").sum()
    )
    # The smallest hashes, so that the same files are shown each time.
    few = moved.select("was", "is", *ID).sort(ID).group_by("was", "is", maintain_order=True).head(EXAMPLES)
    named = few.join(_names_of(few.select(ID), first, second), on=ID, how="inner").sort("doc_id")
    examples = named.group_by("was", "is").agg(examples=pl.struct("doc_id", "path", "repo"))
    found = counts.join(examples, on=["was", "is"], how="left")
    return found.sort(["files", "bytes", "was", "is"], descending=[True, True, False, False])


def _names_of(wanted: pl.DataFrame, *folders: Path) -> pl.DataFrame:
    """doc_id, path and repo of the rows with these hashes, each once."""
    schema = {**dict.fromkeys(ID, pl.UInt64), **dict.fromkeys(("doc_id", "path", "repo"), pl.String)}
    found = [pl.DataFrame(schema=schema)]
    if wanted.height:
        names = ["doc_id", "path", "repo"]
        for folder in folders:
            for group in _groups(folder, {"kept": names, "removed": names}):
                found.append(group.select(*_hashes(), *names).join(wanted, on=ID, how="semi"))
    return pl.concat(found).unique(ID, keep="first")


def _texts(texts: pl.DataFrame, first: Path, second: Path) -> pl.DataFrame:
    """because, files, bytes_was, bytes_is: which transform made another text of kept files, as far as it is known."""
    schema = {"because": pl.String, "files": pl.Int64, "bytes_was": pl.Int64, "bytes_is": pl.Int64}
    if texts.is_empty():
        return pl.DataFrame(schema=schema)
    edits = [_edits_of(folder, texts.select(ID)) for folder in (first, second)]
    key = [*ID, "transform"]
    both = edits[0].join(edits[1], on=key, how="full", coalesce=True, suffix="_is")
    by = both.filter(pl.col("edits").ne_missing(pl.col("edits_is"))).sort("transform")
    by = by.group_by(ID).agg(by=pl.col("transform").unique(maintain_order=True).str.join(" and "))
    other_size = pl.col("found_bytes").ne_missing(pl.col("found_bytes_is"))
    because = (
        pl.when(other_size)
        .then(pl.lit("another text was read"))
        .otherwise(pl.coalesce("by", pl.lit("not known: equal sizes and numbers")))
    )
    found = texts.join(by, on=ID, how="left").group_by(because=because)
    counts = found.agg(
        files=pl.len().cast(pl.Int64), bytes_was=pl.col("bytes").sum(), bytes_is=pl.col("bytes_is").sum()
    )
    return counts.select(*schema).sort(["files", "because"], descending=[True, False])


def _edits_of(folder: Path, wanted: pl.DataFrame) -> pl.DataFrame:
    """What transforms did to these files: id, transform, edits (kinds with numbers and bytes, in words)."""
    path, columns = folder / "transforms.parquet", ["doc_id", "transform", "kind", "n", "bytes_cut"]
    found = [pl.DataFrame(schema={**dict.fromkeys(ID, pl.UInt64), "transform": pl.String, "edit": pl.String})]
    # Runs of before there were transforms have no such file.
    for group in row_groups(path, columns=columns) if path.is_file() else ():
        edit = pl.format("{} {} {}", "kind", "n", "bytes_cut").alias("edit")
        found.append(group.select(*_hashes(), "transform", edit).join(wanted, on=ID, how="semi"))
    return pl.concat(found).group_by(*ID, "transform").agg(edits=pl.col("edit").sort().str.join("; "))


def _languages(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Kept files and bytes of each language that changed, the largest change of bytes first."""
    sums = []
    for rows in (first, second):
        kept = rows.filter(pl.col("fate").cast(pl.String) == "kept").group_by(pl.col("language").cast(pl.String))
        sums.append(kept.agg(files=pl.len().cast(pl.Int64), bytes=pl.col("bytes").sum()))
    both = sums[0].join(sums[1], on="language", how="full", coalesce=True, suffix="_is").fill_null(0)
    both = both.select("language", "files_is", "bytes_is", files_was="files", bytes_was="bytes")
    differs = (pl.col("files_was") != pl.col("files_is")) | (pl.col("bytes_was") != pl.col("bytes_is"))
    order = (pl.col("bytes_is") - pl.col("bytes_was")).abs()
    return (
        both.filter(differs)
        .sort([order, "language"], descending=[True, False])
        .select("language", "files_was", "files_is", "bytes_was", "bytes_is")
    )


def write_changed(found: Difference, first: Path, second: Path, target: Path) -> None:
    """Write every row that differs to `target` (columns CHANGES) in the order of the outputs, a row group at a time."""
    lost = pl.col("change") == "only in the first"
    names = ["doc_id", "path", "repo", "language"]
    with part(target) as writer:
        for folder, wanted in ((second, found.changed.filter(~lost)), (first, found.changed.filter(lost))):
            for group in _groups(folder, {"kept": names, "removed": names}):
                here = group.select(*_hashes(), *names).join(wanted, on=ID, how="inner", maintain_order="left")
                writer.add(here.select(pl.col(name).cast(dtype) for name, dtype in CHANGES.items()))
    if not found.changed.height:
        write_frame(target, pl.DataFrame(schema=CHANGES))
