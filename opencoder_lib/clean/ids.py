"""Ids of a whole corpus: each row's own, or made from where it was found; told apart where a place occurs again."""

from collections.abc import Sequence

import polars as pl

from opencoder_lib.clean.engine import Engine
from opencoder_lib.clean.parts import write_frame
from opencoder_lib.clean.plan import Plan, Shard
from opencoder_lib.clean.steps import FOUND_AT, GIVEN, ID, ROW, UNIT
from opencoder_lib.errors import SchemaError
from opencoder_lib.files import doc_id

AGAIN = dict.fromkeys((FOUND_AT, GIVEN, "origin", "repo", "path"), pl.String) | {UNIT: pl.Int64, ROW: pl.Int64}
SAME = {ID: pl.String, UNIT: pl.Int64, ROW: pl.Int64, "path": pl.String}


def settle_ids(engine: Engine, plan: Plan, shards: Sequence[Shard]) -> None:
    """DIR/.work/ids holds the new id of each row whose place occurred before, one file a unit.

    The nth row of a place gets the id that `files.new_files` gives it. Raises SchemaError when two rows have one id.
    """
    done = plan.place.path("ids", "all.done")
    if done.exists() or not shards:
        return
    paths = sorted({shard.path for shard in shards})
    again = engine.repeated(paths, FOUND_AT, AGAIN).sort(UNIT, ROW)
    again = again.with_columns(earlier=pl.int_range(pl.len()).over(FOUND_AT))
    renamed = again.filter(pl.col(GIVEN).is_null(), pl.col("earlier") > 0)
    places = renamed.select("origin", "repo", "path", "earlier").iter_rows()
    renamed = renamed.select(UNIT, ROW, pl.Series(ID, [doc_id(*place) for place in places], dtype=pl.String))
    _refuse_repeated(engine, paths, renamed)
    for (unit,), rows in renamed.partition_by(UNIT, as_dict=True).items():
        write_frame(plan.place.path("ids", f"{unit:06d}.parquet"), rows.select(ROW, ID))
    plan.place.mark("ids", "all", {"renamed": renamed.height})


def _refuse_repeated(engine: Engine, paths: list[str], renamed: pl.DataFrame) -> None:
    found = engine.repeated(paths, ID, SAME).join(renamed, on=[UNIT, ROW], how="anti")
    if renamed.height:
        # A new id may be one that another row brought.
        here = pl.scan_parquet(paths, glob=False).select(*SAME)
        brought = here.join(renamed.lazy().select(ID), on=ID, how="semi").collect()
        places = here.drop(ID).join(renamed.lazy(), on=[UNIT, ROW], how="inner").select(*SAME).collect()
        found = pl.concat([found, brought.join(renamed, on=[UNIT, ROW], how="anti"), places]).unique()
    same = found.filter(pl.col(ID).is_duplicated()).sort(ID, UNIT, ROW)
    if same.height:
        here = " and ".join(same.filter(pl.col(ID) == same[ID][0])["path"].head(2))
        raise SchemaError(
            f"doc_id {same[ID][0]!r} occurs more than once ({here}); ids must be unique. Name another column with "
            "--id-column, or one that does not exist: ids are then derived from the paths."
        )
