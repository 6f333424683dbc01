"""Licences: found per folder of a repository, told to its files, and made a condition for those who want it.

    evidence(shard)                what the licence files and manifests of a shard say: a few small rows
    settle(all evidence)           one licence a folder
    with_licences(shard, settled)  each file's licence, from its own header or the nearest folder that has one
    keep_permissive(shard)         only files under a permissive licence remain

Nothing else crosses between shards. What metadata gave is never changed. The paper does not say how it treats licences;
this is for those who must.
"""

import re

import polars as pl

from opencoder_lib.files import check, mark_removed, remaining
from opencoder_lib.languages import category_of, language_of
from opencoder_lib.licences import (
    file_pattern,
    header,
    is_permissive,
    joined,
    licence_of_manifest,
    licence_of_text,
    spdx,
    statement,
)

EVIDENCE = {"repo": pl.String, "folder": pl.String, "license": pl.String, "path": pl.String, "how": pl.String}
SETTLED = {"repo": pl.String, "folder": pl.String, "license": pl.String}
FILE, CHOICE, MANIFEST, FOLDER = "licence file", "one of several licence files", "manifest", "folder of licences"
NOT_PERMISSIVE, UNKNOWN = "preprocess.licence_not_permissive", "preprocess.licence_unknown"
MAX_POINTER = 120  # characters; a longer text is no mere link to a licence elsewhere


def evidence(files: pl.DataFrame) -> pl.DataFrame:
    """What the licence files and manifests among `files` say: repo, folder, license, path, how; one row a file.

    Every row with a text is asked, removed or not, since a LICENSE without an extension is of no known type; rows
    without a repository or with a given licence are not. `license` is null for a licence that nobody knows; a file
    that says nothing about licences has no row. The folder LICENSES speaks for the one it is in.
    """
    name = pl.col("path").str.split("/").list.last()
    of_interest = (
        name.str.to_lowercase().str.contains(file_pattern("licence"))
        | pl.col("path").str.contains(file_pattern("folder"))
        | name.str.contains(file_pattern("manifest"))
    )
    rows = files.filter(pl.col("license").is_null() & pl.col("text").is_not_null() & pl.col("repo").is_not_null())
    places = rows.filter(of_interest).select("repo", "path", "text").iter_rows()
    found = [row for place in places if (row := _said(*place)) is not None]
    return pl.DataFrame(found, schema=EVIDENCE, orient="row").sort("repo", "path")


def _said(repo: str, path: str, text: str) -> tuple | None:
    folder, _, name = path.rpartition("/")
    if re.search(file_pattern("manifest"), name):
        stated = statement(path, text)
        return None if stated is None else (repo, folder, licence_of_manifest(path, text), path, MANIFEST)
    if category_of(language_of(path)) in ("code", "data") or re.search(file_pattern("about_parts"), name.lower()):
        return None
    if re.search(file_pattern("folder"), path):
        # Files of a REUSE repository are named after their licence.
        found = spdx(name.rpartition(".")[0]) or licence_of_text(text)
        return (repo, folder.rpartition("/")[0], found, path, FOLDER) if found else None
    found = licence_of_text(text) or spdx(text)
    if found is None and len(text.strip()) <= MAX_POINTER and re.search(file_pattern("pointer"), text.strip()):
        return None
    return repo, folder, found, path, CHOICE if re.search(file_pattern("choice"), name.lower()) else FILE


def settle(found: pl.DataFrame) -> pl.DataFrame:
    """One licence a folder: repo, folder, license, sorted; null where what is there is known to nobody.

    found: the evidence of all shards, in any order. Licence files beat manifests, which beat a folder of licences.
    Several licence files all hold (AND), but two or more that are named after their licences, with no other beside
    them that names one, are there to choose from (OR).
    """
    groups = found.unique().sort(*EVIDENCE).group_by("repo", "folder", maintain_order=True).agg("how", "license")
    rows = [(repo, folder, _settled(hows, names)) for repo, folder, hows, names in groups.iter_rows()]
    return pl.DataFrame(rows, schema=SETTLED, orient="row")


def _settled(hows: list[str], names: list[str | None]) -> str | None:
    said = {kind: [name for how, name in zip(hows, names, strict=True) if how == kind and name] for kind in set(hows)}
    files, choices = said.get(FILE, []), said.get(CHOICE, [])
    if not files and len(choices) > 1:
        return joined(choices, "OR")
    return joined(files + choices) or joined(said.get(MANIFEST, [])) or joined(said.get(FOLDER, []))


def with_licences(files: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """The files with `license` filled where it was null: from the file's own SPDX header, else from its folders.

    The header comes first, since it speaks of this very file, and whoever copied a file from elsewhere leaves it in.
    Rows already removed and given licences are untouched.
    """
    return with_folder_licences(with_header_licences(check(files)), settled)


def with_header_licences(files: pl.DataFrame) -> pl.DataFrame:
    """The files with `license` filled from their SPDX headers where it was null; one that nobody knows as it stands."""
    asked = remaining(files).filter(pl.col("license").is_null()).select("doc_id", _license=header()).drop_nulls()
    canonical = {name: spdx(name) or name for name in asked["_license"].unique()}
    return _filled(files, asked.with_columns(pl.col("_license").replace_strict(canonical, return_dtype=pl.String)))


def with_folder_licences(files: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """The files with `license` filled from their folders where it was null; reads no text.

    Of the folders of the same repository the nearest that `settled` has counts; where that one's licence is known to
    nobody, the file gets none, for what lies further up does not speak for it.
    """
    asked = remaining(files).filter(pl.col("license").is_null()).select("doc_id", "repo", folder=_parent("path"))
    nearest = _nearest(asked.select("repo", "folder").drop_nulls().unique(), settled)
    return _filled(files, asked.join(nearest, on=["repo", "folder"], how="inner").select("doc_id", "_license"))


def _filled(files: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    found = found.rename({"_license": "opencoder:license"})
    joined_files = files.join(found, on="doc_id", how="left", maintain_order="left")
    return joined_files.with_columns(license=pl.coalesce("license", "opencoder:license")).select(files.columns)


def _parent(column: str) -> pl.Expr:
    """The folder of a path, '' at the top."""
    return pl.col(column).str.extract(r"(?s)^(.*)/[^/]*$").fill_null("")


def _nearest(folders: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """repo, folder, _license of each folder that has a settled one above it: all folders go up one step at a time."""
    settled = settled.join(folders, on="repo", how="semi")
    settled = settled.select("repo", at="folder", _license="license", _found=pl.lit(True))
    looking, found = folders.with_columns(at=pl.col("folder")), []
    while looking.height:
        here = looking.join(settled, on=["repo", "at"], how="left")
        found.append(here.filter("_found").select("repo", "folder", "_license"))
        looking = here.filter(pl.col("_found").is_null() & (pl.col("at") != "")).select("repo", "folder", "at")
        looking = looking.with_columns(at=_parent("at"))
    empty = folders.clear().with_columns(_license=pl.lit(None, dtype=pl.String))
    return pl.concat([empty, *found])


def keep_permissive(files: pl.DataFrame) -> pl.DataFrame:
    """Only files under a permissive licence remain; the reason says whether the licence was another or unknown.

    Unknown is a file without a licence, or with one that nobody knows the name of. Judged by licences.is_permissive.
    """
    judged = remaining(files).select("doc_id", removed_by=_reason(files))
    return mark_removed(files, judged.filter(pl.col("removed_by").is_not_null()))


def _reason(files: pl.DataFrame) -> pl.Expr:
    names = files["license"].drop_nulls().unique().to_list()
    reasons = {name: None if is_permissive(name) else NOT_PERMISSIVE if spdx(name) else UNKNOWN for name in names}
    return (
        pl.when(pl.col("license").is_null())
        .then(pl.lit(UNKNOWN))
        .otherwise(pl.col("license").replace_strict(reasons, default=None, return_dtype=pl.String))
    )


def count_licences(files: pl.DataFrame) -> pl.DataFrame:
    """The licences of the files that reached `keep_permissive`: license, permissive, files, bytes; most bytes first.

    `permissive` is null where nobody knows the licence. Says the same before that stage as after it.
    """
    here = files.filter(pl.col("removed_by").is_null() | pl.col("removed_by").is_in([NOT_PERMISSIVE, UNKNOWN]))
    counts = here.group_by("license").agg(files=pl.len().cast(pl.Int64), bytes=pl.col("n_bytes").sum())
    judged = counts.with_columns(_reason=_reason(counts))
    permissive = (
        pl.when(pl.col("_reason") == UNKNOWN).then(None).otherwise(pl.col("_reason").fill_null("") != NOT_PERMISSIVE)
    )
    ordered = judged.with_columns(permissive=permissive).select("license", "permissive", "files", "bytes")
    return ordered.sort("bytes", "license", descending=[True, False], nulls_last=True)
