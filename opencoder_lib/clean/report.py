"""What `clean` says: the plan before, and after it what was read, what went for which reason, and what is left."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from opencoder_lib import MB
from opencoder_lib.clean.parts import as_arrow, write_frame
from opencoder_lib.clean.plan import GROUP_BYTES, STAGES, Plan
from opencoder_lib.clean.steps import EARLIER_ID, with_named_survivors
from opencoder_lib.corpora.inputs import Inputs
from opencoder_lib.corpora.reading import printable_path
from opencoder_lib.corpora.tables import MAX_EXAMPLES
from opencoder_lib.files import SCHEMA
from opencoder_lib.progress import in_words
from opencoder_lib.store import write_json

console = Console(soft_wrap=True, highlight=False)
# Measured in chapter 22 and benchmarks/README.md: what the program holds before it works, how often a task holds the
# text it works on, and what a file costs one machine while rows are grouped, where few are exact copies.
BASE_BYTES, COPIES, BYTES_A_FILE = 450 * MB, 16, 2_500
CLUSTERS = {
    **dict.fromkeys(("cluster", "doc_id", "survivor", "removed_by"), pl.String),
    "measured": pl.Float64,
}


def say(text: str) -> None:
    """A line as it is."""
    console.print(text, markup=False)


def tell_plan(plan: Plan, inputs: Inputs, jobs: int, engine: str) -> None:
    """What would be done, with what, and what it takes; nothing is read but names and sizes."""
    units = list(inputs.units(plan.unit_bytes))
    files = f"{inputs.num_listed:,} files and {len(inputs.tables):,} tables"
    pieces = "1 unit" if len(units) == 1 else f"{len(units):,} units"
    say(f"Input    {files}, {inputs.total_bytes / MB:,.1f} MB as stored, in {pieces}")
    say(f"Output   {plan.out}: kept/, removed/, clusters.parquet, report.json")
    for stage in plan.stages:
        say(f"Stage    {_describe(stage, plan)}")
    say(f"Engine   {engine}, {jobs} tasks at once" if engine == "native" else f"Engine   {engine}, a task a processor")
    known = inputs.num_listed + sum(getattr(table, "n_rows", 0) for table in inputs.tables)
    memory = BASE_BYTES + jobs * COPIES * GROUP_BYTES + known * BYTES_A_FILE
    say(
        f"Memory   about {memory / MB:,.0f} MB for {known:,} files and {jobs} tasks, more where one file is large; "
        "on a cluster what a file costs is shared among the nodes"
    )
    keys = 24 + 20 * plan.minhash.bands if "fuzzy" in plan.stages else 0
    say(f"Shuffle  about {48 + keys:,} bytes a file: ids, hashes and band keys; no text")
    say("Disk     the text once more, compressed, in DIR/.work while the run lasts, beside the output")


def _describe(stage: str, plan: Plan) -> str:
    minhash = plan.minhash
    if stage == "preprocess":
        listed = f", without what {len(plan.opt_out):,} opt-out entries name" if len(plan.opt_out) else ""
        return f"preprocess: known types, at most {plan.max_bytes / MB:,.0f} MB{listed}"
    if stage == "exact":
        return "exact: SHA-256; most stars, newest commit, smallest id stays"
    if stage == "fuzzy":
        check = "no check" if minhash.verify is None else f"checked at {minhash.verify}"
        return (
            f"fuzzy: {minhash.num_hashes:,} hashes of {minhash.ngram}-grams, {minhash.bands} bands of {minhash.rows}, "
            f"threshold {minhash.threshold:.3f}, half of the pairs at {minhash.jaccard_at(0.5):.3f}, {check}"
        )
    return f"filter: rulebook {plan.rules.name}, {len(plan.rules):,} rules"


def write_clusters(plan: Plan) -> None:
    """clusters.parquet: each file that went for another one, with its cluster, in the order of their ids.

    A cluster of equal files is named after the one that stayed, one of similar files after its smallest id.
    """
    found = []
    for stage in ("exact", "fuzzy"):
        for path in plan.place.parts(f"{stage}-decisions"):
            gone = pl.read_parquet(path, glob=False).with_columns(stage=pl.lit(stage))
            if stage == "exact":
                gone = gone.with_columns(cluster="survivor", measured=pl.lit(1.0))
            found.append(gone.select("stage", *CLUSTERS))
    frame = pl.concat(found) if found else pl.DataFrame(schema={"stage": pl.String, **CLUSTERS})
    frame = with_named_survivors(frame, plan).with_columns(cluster=pl.col("cluster").str.replace(EARLIER_ID, ""))
    write_frame(plan.place.path("done", "clusters.parquet"), frame.sort("stage", "cluster", "doc_id"))


def empty_parts(plan: Plan) -> None:
    """Where a folder of the output would be empty, a file without rows says so."""
    for name in ("kept", "removed"):
        folder = plan.place.path("done", name)
        if not any(folder.glob("*.parquet")):
            schema = {column: {**SCHEMA, **plan.extra}.get(column, pl.String) for column in plan.columns}
            table = as_arrow(pl.DataFrame(schema=schema))
            write_frame(folder / "none.parquet", pl.DataFrame(table))


def write_report(
    plan: Plan, inputs: Inputs, notes: dict[str, dict], run: Any, about: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """report.json, written last: where it is, the output is complete."""
    read, written = notes["read"].values(), notes["write"].values()
    tally: Counter = Counter()
    for note in written:
        for reason, language, what, n in note["tally"]:
            tally[reason, language, what] += n
    problems: dict[str, Any] = {}
    opted_out: Counter = Counter()
    for note in read:
        opted_out.update({int(number): n for number, n in note["opted_out"].items()})
        for file, entry in note["problems"].items():
            total = problems.setdefault(file, {"n": 0, "examples": []})
            total["n"] += entry["n"]
            total["examples"] = (total["examples"] + entry["examples"])[:MAX_EXAMPLES]
    unused = [plan.opt_out.name(number) for number in range(len(plan.opt_out)) if not opted_out[number]]
    report = {
        "about": about,
        "inputs": [printable_path(path) for path in inputs.names],
        "rows": sum(note["rows"] for note in read),
        "seconds": round(seconds, 3),
        "seconds_by_pass": {name: round(took, 3) for name, took in run.seconds.items()},
        "engine": run.engine.name,
        "skipped": dict(inputs.skipped),
        "unreadable_lines": problems,
        "opt_out": {"entries": len(plan.opt_out), "files": sum(opted_out.values()), "matched_nothing": unused},
        "funnel": _funnel(plan, tally),
        "removed_by": _by(tally, 0),
        "languages": _languages(tally),
    }
    write_json(plan.place.path("done", "report.json"), report)
    return report


def _by(tally: Counter, place: int) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, n in sorted(tally.items()):
        if key[0]:
            entry = found.setdefault(key[place], {"files": 0, "bytes": 0})
            entry[key[2]] += n
    return dict(sorted(found.items(), key=lambda item: -item[1]["files"]))


def _funnel(plan: Plan, tally: Counter) -> list[dict[str, Any]]:
    """Files and bytes before, removed and after, by stage; what arrived removed by another hand comes first."""
    gone: dict[str, Counter] = {}
    total: Counter = Counter()
    for (reason, _, what), n in tally.items():
        total[what] += n
        if reason:
            gone.setdefault(reason.split(".")[0], Counter())[what] += n
    stages = [*sorted(set(gone) - set(STAGES)), *(stage for stage in STAGES if stage in gone or stage in plan.stages)]
    rows = []
    for stage in stages:
        went = gone.get(stage, Counter())
        row = {"stage": stage, "files_before": total["files"], "bytes_before": total["bytes"]}
        total.subtract(went)
        row |= {"files_removed": went["files"], "bytes_removed": went["bytes"]}
        rows.append(row | {"files_after": total["files"], "bytes_after": total["bytes"]})
    return rows


def _languages(tally: Counter) -> list[dict[str, Any]]:
    """Files and bytes read and kept, by language, the largest first."""
    found: dict[str, Counter] = {}
    for (reason, language, what), n in tally.items():
        entry = found.setdefault(language or "unknown", Counter())
        entry[f"{what}_read"] += n
        entry[f"{what}_kept"] += 0 if reason else n
    order = sorted(found.items(), key=lambda item: (-item[1]["bytes_kept"], item[0]))
    return [{"language": language, **dict(sorted(counts.items()))} for language, counts in order]


def tell_done(report: dict[str, Any], out: Path) -> None:
    """The run in a few lines."""
    total = report["funnel"][0]["bytes_before"] if report["funnel"] else 0
    rate = total / MB / max(report["seconds"], 1e-9)
    say(f"{report['rows']:,} rows, {total / MB:,.1f} MB in {in_words(report['seconds'])} ({rate:.1f} MB/s).")
    if report["skipped"]:
        say(f"No files: {', '.join(f'{n:,} {what}' for what, n in report['skipped'].items())}.")
    for file, entry in report["unreadable_lines"].items():
        say(f"Could not be read in {file}: {entry['n']:,}, such as {'; '.join(entry['examples'][:2])}")
    if unused := report["opt_out"]["matched_nothing"]:
        say(f"Opt-out entries that named no file: {len(unused):,}, such as {', '.join(unused[:3])}.")
    say(f"{'stage':<12}{'files':>12}{'MB':>12}{'removed':>12}{'MB':>12}")
    for row in report["funnel"]:
        before, gone = row["bytes_before"] / MB, row["bytes_removed"] / MB
        say(f"{row['stage']:<12}{row['files_before']:>12,}{before:>12,.1f}{row['files_removed']:>12,}{gone:>12,.1f}")
    if report["funnel"]:
        last = report["funnel"][-1]
        say(f"{'kept':<12}{last['files_after']:>12,}{last['bytes_after'] / MB:>12,.1f}")
    say(f"Written: {out}/kept, {out}/removed, {out}/clusters.parquet, {out}/report.json")
