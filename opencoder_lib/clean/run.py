"""`opencoder clean`: every stage over any number of files, shard by shard, on this machine or on a cluster.

    read      each unit of the input is read once and judged by preprocessing
    licences  what the licence files of a repository say of its files
    exact     rows whose SHA-256 occurs more than once meet; one of each stays
    keys      what the rest is compared by; sets and bands that occur more than once meet
    sets      the shingles of those that share one
    decide    which of them go
    write     every shard with all decisions applied, transformed and filtered
    sample    those that fit the budgets stay

A task that is done is marked; going on after any end is the same command. Nothing depends on the number of shards,
processes or nodes: ids come from where files were found, and of equal files the smallest id decides last.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from opencoder_lib import MB
from opencoder_lib.clean import finish, steps
from opencoder_lib.clean.engine import Engine, EngineFailed
from opencoder_lib.clean.ids import settle_ids
from opencoder_lib.clean.parts import num_row_groups, write_frame
from opencoder_lib.clean.plan import EARLIER, Plan, Shard, shards_of
from opencoder_lib.corpora.units import Unit
from opencoder_lib.progress import Meter
from opencoder_lib.refine import exact, fuzzy, licences

ATTEMPTS = 3
# Sets of shingles that one process holds at once while it decides, 8 bytes a shingle.
BATCH_SHINGLES = 32 * MB
WORTH_PROCESSES = 100 * MB
# Rows of equal texts that the driver holds at once, about 600 bytes each while it decides.
ROWS_AT_ONCE = 2_000_000
# By the first byte of the digest.
RANGES = 256
DIGESTS = {"doc_id": pl.String, "group": pl.Binary, "unit": pl.Int64}
KEYS = {"doc_id": pl.String, "unit": pl.Int64, "num_shingles": pl.Int64, "shingle_set": pl.Binary}
BANDS = {"key": pl.UInt64, "doc_id": pl.String}


console = Console(soft_wrap=True, highlight=False)


@dataclass
class Run:
    """One run: the plan, the engine, and what its passes have noted so far."""

    plan: Plan
    engine: Engine
    seconds: dict[str, float] = field(default_factory=dict)

    def all_of(self, step: str, tasks: dict[str, str], work: Callable, weights: dict[str, int], **how: Any) -> dict:
        """Do what is not done of a pass, under a meter; return the notes of all its tasks by name.

        tasks: what is sent, by name; weights: bytes by name. When the engine gives up, what is missing is tried again.
        """
        began = time.monotonic()
        place = self.plan.place
        notes = {name: found for name in tasks if (found := place.notes_of(step, name)) is not None}
        names = {task: name for name, task in tasks.items()}
        with Meter(sum(weights.values()), step=step) as meter:
            for name in notes:
                meter.advance(weights[name], weights[name], kept=True)
            for attempt in range(ATTEMPTS):
                missing = [task for name, task in tasks.items() if name not in notes]
                try:
                    for task, found in self.engine.each(missing, work, **how):
                        notes[names[task]] = found
                        meter.advance(weights[names[task]], weights[names[task]], kept=False)
                    break
                except EngineFailed as error:
                    if attempt + 1 == ATTEMPTS:
                        raise
                    meter.say(f"{error} Going on with what is missing ({attempt + 1} of {ATTEMPTS - 1} times).")
                    notes |= {name: found for name in tasks if (found := place.notes_of(step, name)) is not None}
        self.seconds[step] = self.seconds.get(step, 0) + time.monotonic() - began
        return notes

    def timed(self, name: str, work: Callable, *given: Any) -> Any:
        """The result of a step on the driver; its time counts for the pass `name`."""
        began = time.monotonic()
        found = work(*given)
        self.seconds[name] = self.seconds.get(name, 0) + time.monotonic() - began
        return found


def carry_out(run: Run, units: Sequence[Unit]) -> dict[str, Any]:
    """All passes. Returns the notes of reading and of writing, by task."""
    plan = run.plan
    plan.place.make_folders()
    tasks = {f"{unit.number:06d}": unit.to_json() for unit in units}
    weights = {f"{unit.number:06d}": unit.n_stored for unit in units}
    # Lines and single files are read under the interpreter's lock; a process takes a second to start.
    locked = sum(unit.n_stored for unit in units if not unit.path.endswith(".parquet"))
    read = run.all_of("read", tasks, _Call(steps.read_unit, plan), weights, processes=locked > WORTH_PROCESSES)
    shards = [
        shard
        for name, notes in sorted(read.items())
        for shard in shards_of(
            plan.place.path("text", f"{name}.parquet"), int(name), notes["group_bytes"], 2 * plan.unit_bytes
        )
    ]
    run.timed("read", settle_ids, run.engine, plan, shards)
    _licences(run, shards)
    earlier = [shard for number, folder in enumerate(plan.against) for shard in _earlier(Path(folder), number, plan)]
    if "exact" in plan.stages:
        _exact(run, shards, earlier)
    if "fuzzy" in plan.stages:
        _fuzzy(run, shards, earlier)
    written = _on_shards(run, "write", shards, processes="filter" in plan.stages)
    return {"read": read, "write": written, "sample": _sample(run, shards) if plan.samples else {}}


class _Call:
    """A step with its plan: a function of a task that can be sent."""

    def __init__(self, step: Callable[[Plan, str], dict[str, Any]], plan: Plan):
        self.step, self.plan = step, plan

    def __call__(self, task: str) -> dict[str, Any]:
        return self.step(self.plan, task)


def _on_shards(run: Run, step: str, shards: Sequence[Shard], **how: Any) -> dict[str, Any]:
    tasks = {shard.name: steps.tell(shard) for shard in shards}
    weights = {shard.name: shard.n_bytes for shard in shards}
    return run.all_of(step, tasks, partial(steps.step, step, _work_of(step), run.plan), weights, **how)


def _work_of(step: str) -> Callable[[Shard, Plan], steps.Notes]:
    """What a pass over shards does with one of them."""
    if step == "write":
        return finish.write_out
    return finish.write_sample if step == "sample" else getattr(steps, f"write_{step}")


def _earlier(folder: Path, number: int, plan: Plan) -> list[Shard]:
    """The shards of what an earlier run kept."""
    found = []
    for unit, path in enumerate(sorted((folder / "kept").glob("*.parquet"))):
        groups = num_row_groups(path)
        sizes = [path.stat().st_size // max(1, groups)] * groups
        found += shards_of(path, unit, sizes, plan.unit_bytes, source=number)
    return found


def _licences(run: Run, shards: Sequence[Shard]) -> None:
    """DIR/.work/licences says what licence each file is under, as far as its repository tells."""
    plan = run.plan
    found = [pl.read_parquet(path, glob=False) for path in plan.place.parts("evidence")]
    if not found and plan.licences == "any":
        return
    target = plan.place.path("settled.parquet")
    if not target.exists():
        write_frame(target, licences.settle(pl.concat([pl.DataFrame(schema=licences.EVIDENCE), *found])))
    _on_shards(run, "licences", shards)


def _sample(run: Run, shards: Sequence[Shard]) -> dict[str, Any]:
    """The files over a budget have gone; DIR/.work/cut-offs says from which place on."""
    target = run.plan.place.path("cut-offs.parquet")
    if not target.exists():
        write_frame(target, run.timed("sample", finish.find_places, run.plan))
    return _on_shards(run, "sample", shards)


def _exact(run: Run, shards: Sequence[Shard], earlier: Sequence[Shard]) -> None:
    """DIR/.work/exact-decisions says which files go for an equal one."""
    notes = _on_shards(run, "digests", [*shards, *earlier])
    run.timed("exact", _decide_exact, run, sum(note["rows"] for note in notes.values()))


def _decide_exact(run: Run, rows: int) -> None:
    """The digests are taken range by range, so that the driver never holds more than ROWS_AT_ONCE or so."""
    plan, digests = run.plan, run.plan.place.parts("digests")
    step = max(1, RANGES * ROWS_AT_ONCE // max(rows, 1))
    for low in range(0, RANGES, step):
        high = min(low + step, RANGES) - 1
        target = plan.place.path("exact-decisions", f"{low:03d}.parquet")
        if not target.exists():
            found = run.engine.repeated(digests, "group", DIGESTS | plan.keep_schema, where=("range", low, high))
            units = found.filter(pl.col(EARLIER) == 0).select("doc_id", "unit")
            gone = exact.reduce(found, plan.keep).join(units, on="doc_id", how="inner")
            write_frame(target, gone.sort("unit", "doc_id"))


def _fuzzy(run: Run, shards: Sequence[Shard], earlier: Sequence[Shard]) -> None:
    """DIR/.work/fuzzy-decisions says which files go for a similar one."""
    plan = run.plan
    _on_shards(run, "keys", [*shards, *earlier])
    if not plan.place.path("wanted.parquet").exists():
        run.timed("keys", _find_candidates, run)
    _on_shards(run, "sets", [*shards, *earlier])
    members = pl.scan_parquet(plan.place.path("members.parquet"), glob=False)
    most = members.select(pl.col("batch").max()).collect().item()
    batches = {str(number): str(number) for number in range(0 if most is None else most + 1)}
    run.all_of("decide", batches, _Call(steps.decide_batch, plan), dict.fromkeys(batches, 1))
    target = plan.place.path("fuzzy-decisions", "000.parquet")
    if not target.exists():
        found = [pl.read_parquet(path, glob=False) for path in plan.place.parts("decide")]
        write_frame(target, pl.concat([steps.NO_DECISIONS, *found], how="diagonal").sort("unit", "doc_id"))


def _find_candidates(run: Run) -> None:
    """DIR/.work says which files share a set of shingles or a band, what links them, and in which batch they go."""
    plan, place = run.plan, run.plan.place
    keys, bands = place.parts("keys"), place.parts("bands")
    columns = KEYS | plan.keep_schema
    same = fuzzy.same_sets(run.engine.repeated(keys, "shingle_set", columns))
    # A file that another one stands for leaves no trace in the bands.
    shared = run.engine.repeated(bands, "key", BANDS).join(same, on="doc_id", how="anti")
    shared = fuzzy.shared_bands(shared)
    found = fuzzy.candidates(shared, same)
    about = pl.scan_parquet(keys, glob=False).select(*columns) if keys else pl.LazyFrame(schema=columns)
    members = about.drop("shingle_set").join(found.lazy(), on="doc_id", how="inner").collect()
    batch = _batches(members)
    members = members.join(batch, on="cluster", how="left")
    number = members.select("doc_id", "batch")
    write_frame(place.path("members.parquet"), members.drop("cluster", "num_shingles").sort("batch", "doc_id"))
    for name, rows in (("shared", shared), ("same", same)):
        write_frame(place.path(f"{name}.parquet"), rows.join(number, on="doc_id", how="inner").sort("batch", "doc_id"))
    # Last: where it lies, the others do too.
    wanted = number.join(shared, on="doc_id", how="semi").sort("doc_id")
    write_frame(place.path("wanted.parquet"), wanted)


def _batches(members: pl.DataFrame) -> pl.DataFrame:
    """`cluster` and `batch`: clusters in the order of their names, BATCH_SHINGLES together, or one cluster."""
    sizes = members.group_by("cluster").agg(pl.col("num_shingles").sum()).sort("cluster")
    return sizes.select("cluster", batch=pl.col("num_shingles").cum_sum() // BATCH_SHINGLES)
