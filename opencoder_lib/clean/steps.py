"""What one task of `clean` does: read a unit of the input, or take one step with one shard.

Each step reads what it needs, writes its part whole, marks itself done and returns notes. It may be at work twice, on
any node, at any time: the same task gives the same part. The stages themselves are those of `refine` and `quality`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib.clean.optout import drop_opted_out
from opencoder_lib.clean.parts import part, row_groups
from opencoder_lib.clean.plan import EARLIER, GROUP_BYTES, Plan, Shard
from opencoder_lib.corpora.tables import Problems
from opencoder_lib.corpora.units import Unit
from opencoder_lib.files import JUDGEMENT, SCHEMA, doc_id, remaining
from opencoder_lib.languages import with_languages
from opencoder_lib.refine import exact, fuzzy
from opencoder_lib.refine.github_text import keep_named_text
from opencoder_lib.refine.licences import evidence, keep_permissive, with_folder_licences, with_header_licences
from opencoder_lib.refine.notebooks import structure_notebooks
from opencoder_lib.refine.preprocess import keep_source_files
from opencoder_lib.refine.similarity import SETS, shingle_sets

Notes = dict[str, Any]
NOT_JUDGED = {name: pl.lit(None, dtype=SCHEMA[name]) for name in JUDGEMENT}
DECISION = {
    **{"doc_id": pl.String, "removed_by": pl.String, "survivor": pl.String, "measured": pl.Float64},
    **{"cluster": pl.String, "unit": pl.Int64},
}
NO_DECISIONS = pl.DataFrame(schema=DECISION)
DIGESTS_A_GROUP = 4096
# No column of a user's has such a name.
OWN = "opencoder:"
# Before an id of an earlier run, with that run's number.
EARLIER_ID = rf"^{OWN}earlier:(\d+):"
# Columns of our own in DIR/.work/text: the id that a row brought, the one it has by where it was found, the first of
# these that there is, its unit and its number there, the hash of its text, and the bytes that a notebook lost.
GIVEN, FOUND_AT, ID = f"{OWN}given", f"{OWN}found_at", f"{OWN}id"
UNIT, ROW, DIGEST, CUT = f"{OWN}unit", f"{OWN}row", f"{OWN}digest", f"{OWN}cut"


def tell(shard: Shard) -> str:
    """A shard as a task."""
    return json.dumps(asdict(shard))


def step(name: str, work: Callable[[Shard, Plan], Notes], plan: Plan, task: str) -> Notes:
    """The notes of one step with one shard, done now or before."""
    shard = Shard(**json.loads(task))
    # On a cluster that lost a node, some of its tasks are given out once more though they are done.
    found = plan.place.notes_of(name, shard.name)
    return found if found is not None else plan.place.mark(name, shard.name, work(shard, plan))


def read_unit(plan: Plan, task: str) -> Notes:
    """The unit's rows lie in DIR/.work/text, judged by preprocessing, those still in with the hash of their text."""
    unit, problems, row = Unit.from_json(task), Problems(), 0
    if (found := plan.place.notes_of("read", f"{unit.number:06d}")) is not None:
        return found
    text, about_licences = (plan.place.path(name, f"{unit.number:06d}.parquet") for name in ("text", "evidence"))
    opted_out: Counter = Counter()
    with part(text, compression="lz4") as writer, part(about_licences) as licences:
        for raw in unit.frames(GROUP_BYTES, problems):
            files = _as_files(raw, plan, unit.number, row)
            row += files.height
            # Before any file goes: the text of a licence is of no known type.
            licences.add(evidence(files))
            # Whatever the stages: it is not for the user of a corpus to overlook what its owners wish.
            files, counts = drop_opted_out(files, plan.opt_out)
            opted_out.update(counts)
            files = _preprocessed(with_header_licences(files), plan)
            digests = exact.keys(files, ()).rename({"group": DIGEST})
            writer.add(files.join(digests, on="doc_id", how="left", maintain_order="left").drop("doc_id"))
    notes = {
        "rows": row,
        "n_bytes": sum(writer.group_bytes),
        "n_stored": unit.n_stored,
        "group_bytes": writer.group_bytes,
        "problems": problems.found,
        "opted_out": dict(opted_out),
    }
    return plan.place.mark("read", f"{unit.number:06d}", notes)


def _preprocessed(files: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The files judged by preprocessing if the plan has it, those of a known type named."""
    if "preprocess" not in plan.stages:
        return with_languages(files).with_columns(pl.lit(0, dtype=pl.Int64).alias(CUT))
    before = bytes_now(files)
    if plan.notebooks:
        files = structure_notebooks(files)
    files = files.with_columns((before - bytes_now(files)).alias(CUT))
    files = keep_source_files(files, plan.max_bytes)
    return keep_named_text(files) if plan.text_files == "named" else files


def bytes_now(files: pl.DataFrame) -> pl.Series:
    """Bytes of each text as it is now, 0 where there is none."""
    return files["text"].str.len_bytes().cast(pl.Int64).fill_null(0)


def _as_files(raw: pl.DataFrame, plan: Plan, unit: int, first_row: int) -> pl.DataFrame:
    """Rows of an input as a file frame whose ids are only their numbers: which ids repeat is known at the end."""
    found = [doc_id(*place) for place in raw.select(pl.col("origin").fill_null("folder"), "repo", "path").iter_rows()]
    rows = pl.int_range(first_row, first_row + raw.height, dtype=pl.Int64, eager=True)
    columns = []
    for name, dtype in {**SCHEMA, **plan.extra}.items():
        here = pl.col(name) if name in raw.columns else pl.lit(None)
        columns.append(here.cast(dtype).alias(name))
    return raw.select(columns).with_columns(
        pl.col("origin").fill_null("folder"),
        pl.col("doc_id").alias(GIVEN),
        pl.Series(FOUND_AT, found, dtype=pl.String),
        pl.coalesce("doc_id", pl.Series(found, dtype=pl.String)).alias(ID),
        pl.lit(unit, dtype=pl.Int64).alias(UNIT),
        rows.alias(ROW),
        doc_id=pl.format("{}:{}", pl.lit(unit), rows),
    )


def load(shard: Shard, plan: Plan, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """The shard's rows as file frames with their ids, one row group at a time. columns: besides the id, all by default.

    Ids of an earlier run begin with its number, so that they cannot be those of a file of this one.
    """
    if shard.source >= 0:
        places = ["doc_id", "repo", "path", *columns] if columns else None
        for files in row_groups(shard.path, shard.groups, places):
            # What an owner has taken back since stands for nobody.
            files = remaining(drop_opted_out(files.with_columns(**NOT_JUDGED), plan.opt_out)[0])
            own_id = pl.lit(f"{OWN}earlier:{shard.source}:") + pl.col("doc_id")
            yield files.with_columns(own_id.alias("doc_id"), pl.lit(1).alias(EARLIER))
        return
    news = (plan.place.path("ids", f"{shard.unit:06d}.parquet"), plan.place.path("licences", f"{shard.name}.parquet"))
    found = [pl.read_parquet(path, glob=False) for path in news if path.exists()]
    for files in row_groups(shard.path, shard.groups, columns and [ID, ROW, *columns]):
        for new in found:
            files = files.update(new.select(name for name in new.columns if name in files.columns), on=ROW)
        yield files.with_columns(pl.col(ID).alias("doc_id"), pl.lit(0).alias(EARLIER))


def decisions_about(shard: Shard, plan: Plan, *stages: str) -> pl.DataFrame:
    """What the set-wide stages named decided about files of this shard's unit. What an earlier run kept, stays."""
    found = [NO_DECISIONS]
    for stage in stages if shard.source < 0 else ():
        for path in plan.place.parts(f"{stage}-decisions"):
            found.append(pl.scan_parquet(path, glob=False).filter(pl.col("unit") == shard.unit).collect())
    return pl.concat(found, how="diagonal")


def write_licences(shard: Shard, plan: Plan) -> Notes:
    """What the repositories' licence files add to the shard's files lies in DIR/.work/licences, and who goes for it."""
    settled, columns = pl.read_parquet(plan.place.path("settled.parquet"), glob=False), [*JUDGEMENT, "license"]
    with part(plan.place.path("licences", f"{shard.name}.parquet")) as writer:
        for before in load(shard, plan, ["repo", "path", *columns]):
            after = with_folder_licences(before, settled)
            if plan.licences == "permissive":
                after = keep_permissive(after)
            new = after["license"].ne_missing(before["license"]) | after["removed_by"].ne_missing(before["removed_by"])
            writer.add(after.filter(new).select(ROW, "license", "removed_by"))
    return {"rows": writer.rows}


def write_digests(shard: Shard, plan: Plan) -> Notes:
    """The hashes of the texts that are still in lie in DIR/.work/digests, with what decides who stays."""
    decide_by, found = ["removed_by", "stars", "committed_at"], []
    with part(plan.place.path("digests", f"{shard.name}.parquet")) as writer:
        for files in load(shard, plan, ["text" if shard.source >= 0 else DIGEST, *decide_by]):
            if shard.source >= 0:
                rows = exact.keys(files, plan.keep)
                rows = pl.concat([rows, _as_compared(rows, shard, plan)])
            else:
                rows = remaining(files).select("doc_id", pl.col(DIGEST).alias("group"), *plan.keep)
            first_byte = pl.Series("range", [digest[0] for digest in rows["group"]], dtype=pl.Int64)
            found.append(rows.with_columns(first_byte, unit=pl.lit(shard.unit, dtype=pl.Int64)))
        # In the order of ranges, so that who takes one range reads little else.
        for rows in pl.concat(found).sort("range", "doc_id").iter_slices(DIGESTS_A_GROUP) if found else ():
            writer.add(rows)
    return {"rows": writer.rows}


def _as_compared(rows: pl.DataFrame, shard: Shard, plan: Plan) -> pl.DataFrame:
    """The rows of an earlier run whose text it changed, with the hash of that text before: what a copy of it has."""
    stored = Path(plan.against[shard.source], "transforms.parquet")
    changed = pl.scan_parquet(stored, glob=False) if stored.exists() else pl.LazyFrame()
    if "sha256" not in changed.collect_schema():
        return rows.clear()
    changed = changed.select("doc_id", "sha256").drop_nulls().unique()
    changed = changed.with_columns(doc_id=pl.lit(f"{OWN}earlier:{shard.source}:") + pl.col("doc_id"))
    found = rows.lazy().drop("group").join(changed, on="doc_id", how="inner", maintain_order="left").collect()
    return found.with_columns(group=pl.col("sha256").str.decode("hex")).select(rows.columns)


def write_keys(shard: Shard, plan: Plan) -> Notes:
    """What the shard's files are compared by lies in DIR/.work: keys, one row a file, and bands, one row a band."""
    columns = ["text", "removed_by", "survivor", "measured", "stars", "committed_at"]
    decided = decisions_about(shard, plan, "exact")
    keys_path, bands_path = (plan.place.path(name, f"{shard.name}.parquet") for name in ("keys", "bands"))
    with part(keys_path) as keys, part(bands_path) as bands:
        for files in load(shard, plan, columns):
            files = exact.mark(files, decided)
            known = fuzzy.keys(files, plan.minhash, plan.keep, num_threads=1)
            # Of equal sets within the shard only one goes on; those across shards meet later.
            bands.add(fuzzy.band_rows(known, fuzzy.same_sets(known)))
            keys.add(known.drop("band_keys").with_columns(unit=pl.lit(shard.unit, dtype=pl.Int64)))
    return {"rows": keys.rows, "bands": bands.rows}


def write_sets(shard: Shard, plan: Plan) -> Notes:
    """The sets of shingles of the shard's candidates lie in DIR/.work/sets."""
    wanted = pl.read_parquet(plan.place.path("wanted.parquet"), glob=False)
    found = [pl.DataFrame(schema={**SETS, "batch": pl.Int64})]
    for files in load(shard, plan, ["text"]):
        here = files.join(wanted, on="doc_id", how="inner", maintain_order="left")
        sets = shingle_sets(here, plan.minhash)
        found.append(sets.join(here.select("doc_id", "batch"), on="doc_id", how="left", maintain_order="left"))
    sets = pl.concat(found)
    with part(plan.place.path("sets", f"{shard.name}.parquet")) as writer:
        # A row group a batch: who decides about one reads no other.
        for _, rows in sorted(sets.partition_by("batch", as_dict=True).items()):
            writer.add(rows)
    return {"rows": sets.height}


def decide_batch(plan: Plan, task: str) -> Notes:
    """What fuzzy deduplication decides about one batch of components lies in DIR/.work/decide."""
    here = pl.col("batch") == int(task)
    paths = {name: plan.place.path(f"{name}.parquet") for name in ("members", "shared", "same")}
    parts = {name: pl.scan_parquet(path, glob=False).filter(here) for name, path in paths.items()}
    members, shared, same = (frame.drop("batch").collect() for frame in parts.values())
    stored = plan.place.parts("sets")
    sets = pl.scan_parquet(stored, glob=False).filter(here).collect() if stored else pl.DataFrame(schema=SETS)
    gone = fuzzy.decide(members, shared, same, sets, plan.minhash, plan.keep)
    units = members.filter(pl.col(EARLIER) == 0).select("doc_id", "unit")
    with part(plan.place.path("decide", f"{task}.parquet")) as writer:
        writer.add(gone.join(units, on="doc_id", how="inner", maintain_order="left"))
    return plan.place.mark("decide", task, {"rows": writer.rows})


def with_named_survivors(files: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Survivors by the ids that their own run gave them, and in `survivor_in` which run that is."""
    if not plan.against:
        return files
    earlier = pl.col("survivor").str.extract(EARLIER_ID).cast(pl.Int64)
    names = dict(enumerate(plan.against))
    return files.with_columns(
        survivor_in=earlier.replace_strict(names, default=None, return_dtype=pl.String),
        survivor=pl.col("survivor").str.replace(EARLIER_ID, ""),
    )
