"""The last tasks of `clean`: a shard with all decisions applied, transformed, filtered, and cut to the budgets."""

import os
from collections import Counter
from typing import Any

import polars as pl

from opencoder_lib.clean.parts import PartWriter, num_rows, part, row_groups
from opencoder_lib.clean.plan import Plan, Shard
from opencoder_lib.clean.steps import CUT, DIGEST, Notes, bytes_now, decisions_about, load, with_named_survivors
from opencoder_lib.durable import file_sha256
from opencoder_lib.quality import apply_rules, compute_signals
from opencoder_lib.refine import exact, sampling
from opencoder_lib.refine.edits import EDITS, Transformed, count_edits
from opencoder_lib.refine.transform import transform

NO_EDITS = pl.DataFrame(schema=EDITS)
# transforms.parquet: `sha256` is of the text that was compared with others, before the transforms.
CHANGES = {**EDITS, "sha256": pl.String}
NO_PLACES = {"doc_id": pl.String, CUT: pl.Int64}


def write_out(shard: Shard, plan: Plan) -> Notes:
    """The shard's files lie among those kept and removed, transformed and judged by all stages that need no others.

    Where files may still go for a budget, those kept wait in DIR/.work/judged, with what decides in DIR/.work/places.
    """
    tally: Counter = Counter()
    name, decided = f"{shard.name}.parquet", decisions_about(shard, plan, "exact", "fuzzy")
    kept_at = plan.place.path("judged", name) if plan.samples else plan.place.path("done", "kept", name)
    counts = [count_edits(NO_EDITS)]
    with (
        part(kept_at) as kept,
        part(plan.place.path("done", "removed", name)) as removed,
        part(plan.place.path("edits", name)) as changed,
        part(plan.place.path("places", name)) as places,
    ):
        for files in load(shard, plan):
            files = with_named_survivors(exact.mark(files, decided), plan)
            files, edits = _transformed(files, plan)
            compared = files.select("doc_id", sha256=pl.col(DIGEST).bin.encode("hex"))
            changed.add(edits.join(compared, on="doc_id", how="left", maintain_order="left"))
            counts.append(count_edits(edits))
            if "filter" in plan.stages:
                signals = compute_signals(files, names={rule.signal for rule in plan.rules})
                files = apply_rules(files, signals, plan.rules)
            if plan.samples:
                places.add(_places(files, plan))
            tally.update(_tally(files))
            stays = pl.col("removed_by").is_null()
            kept.add(files.filter(stays).select(plan.columns))
            removed.add(files.filter(~stays).select(plan.columns))
    return {
        "tally": _as_rows(tally),
        "edits": sum_edits(pl.concat(counts)).rows(),
        "files": _written(plan, removed) if plan.samples else _written(plan, kept, removed),
    }


def _transformed(files: pl.DataFrame, plan: Plan) -> Transformed:
    """The files transformed if the plan says so. CUT is what a file lost in all; a notebook's share is an edit, too."""
    structured = files.filter(pl.col("removed_by").is_null(), pl.col(CUT) != 0).select(
        "doc_id",
        transform=pl.lit("notebook"),
        kind=pl.lit("structured"),
        n=pl.lit(1, dtype=pl.Int64),
        bytes_cut=pl.col(CUT),
    )
    before, edits = bytes_now(files), NO_EDITS
    if "transform" in plan.stages:
        files, edits = transform(files)
    files = files.with_columns((pl.col(CUT) + before - bytes_now(files)).alias(CUT))
    return Transformed(files, pl.concat([edits, structured]).sort("doc_id", "transform", "kind"))


def sum_edits(counts: pl.DataFrame) -> pl.DataFrame:
    """Rows of several `count_edits` as one of them."""
    found = counts.group_by("transform", "kind").agg(pl.col("files", "n", "bytes_cut").sum())
    return found.sort("transform", "files", "kind", descending=[False, True, False])


def find_places(plan: Plan) -> pl.DataFrame:
    """Where each budgeted language is cut, from the places of all files that got so far."""
    stored = plan.place.parts("places")
    keys = pl.scan_parquet(stored, glob=False) if stored else pl.LazyFrame(schema=sampling.KEYS)
    return sampling.cut_offs(keys, plan.budgets)


def _places(files: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """What decides who fits a budget, and what the file lost until then, for the count."""
    here = files.filter(pl.col("removed_by").is_null(), pl.col("language").is_in(list(plan.budgets)))
    return sampling.keys(here, plan.budgets).with_columns(here["doc_id"], here[CUT])


def write_sample(shard: Shard, plan: Plan) -> Notes:
    """The files of the shard that fit the budgets lie among those kept, the others among those removed."""
    name = f"{shard.name}.parquet"
    cut_offs = pl.read_parquet(plan.place.path("cut-offs.parquet"), glob=False)
    judged, kept_at = plan.place.path("judged", name), plan.place.path("done", "kept", name)
    kept, tally = PartWriter(kept_at), Counter()
    removed = PartWriter(plan.place.path("done", "removed", f"{shard.name}-sample.parquet"))
    if cut_offs.filter(pl.col("files_after") < pl.col("files_before")).is_empty():
        # Done twice, the second time finds nothing to move.
        if judged.exists():
            os.replace(judged, kept_at)
    elif judged.exists():
        stored = plan.place.path("places", name)
        cut = pl.read_parquet(stored, glob=False) if stored.exists() else pl.DataFrame(schema=NO_PLACES)
        cut = cut.select("doc_id", CUT)
        with part(kept_at) as kept, part(removed.path) as removed:
            for files in row_groups(judged):
                files = sampling.mark(files, cut_offs)
                stays = pl.col("removed_by").is_null()
                kept.add(files.filter(stays))
                removed.add(files.filter(~stays))
                tally.update(_tally(files.filter(~stays).join(cut, on="doc_id", how="left")))
    return {"tally": _as_rows(tally), "files": _written(plan, kept, removed)}


def _written(plan: Plan, *parts: PartWriter) -> list[list[Any]]:
    """Path below the output, rows, bytes and SHA-256 of each part that has rows."""
    found = []
    for one in parts:
        if one.path.exists():
            place = one.path.relative_to(plan.place.path("done")).as_posix()
            found.append([place, num_rows(one.path), one.path.stat().st_size, file_sha256(one.path)])
    return found


def _tally(files: pl.DataFrame) -> Counter:
    """Files, bytes as found and bytes cut from them, by reason (empty for those kept), language, category, licence."""
    by = [pl.col(name).cast(pl.String).fill_null("") for name in ("removed_by", "language", "category", "license")]
    counts = files.group_by(by).agg(
        n=pl.len().cast(pl.Int64), n_bytes=pl.col("n_bytes").sum().cast(pl.Int64), cut=pl.col(CUT).sum()
    )
    found: Counter = Counter()
    for *key, n, n_bytes, cut in counts.iter_rows():
        found[*key, "files"] += n
        found[*key, "bytes"] += n_bytes
        found[*key, "cut"] += cut
    return found


def _as_rows(tally: Counter) -> list[list[Any]]:
    return [[*key, n] for key, n in sorted(tally.items())]
