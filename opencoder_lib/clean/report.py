"""What `clean` says: the plan before, and the run in a few lines after it."""

from pathlib import Path
from typing import Any

from rich.console import Console

from opencoder_lib import MB
from opencoder_lib.clean.plan import GROUP_BYTES, Plan
from opencoder_lib.corpora.inputs import Inputs
from opencoder_lib.progress import in_words
from opencoder_lib.sections import PASSES

MOST_KINDS = 6

console = Console(soft_wrap=True, highlight=False)
# Measured in chapter 22 and benchmarks/README.md: what the program holds before it works, how often a task holds the
# text it works on, and what a file costs one machine while rows are grouped, where few are exact copies.
BASE_BYTES, COPIES, BYTES_A_FILE = 450 * MB, 16, 2_500


def say(text: str) -> None:
    """A line as it is."""
    console.print(text, markup=False)


def tell_plan(plan: Plan, inputs: Inputs, jobs: int, engine: str) -> None:
    """What would be done, with what, and what it takes; nothing is read but names, sizes and the dates of commits."""
    units = list(inputs.units(plan.unit_bytes))
    files = f"{inputs.num_listed:,} files and {len(inputs.tables):,} tables"
    pieces = "1 unit" if len(units) == 1 else f"{len(units):,} units"
    say(f"Input    {files}, {inputs.total_bytes / MB:,.1f} MB as stored, in {pieces}")
    say(f"Output   {plan.out}: kept/, removed/, report.html, report.json, README.md, clusters and transforms .parquet")
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
        parts = [f"known types, at most {plan.max_bytes / MB:,.0f} MB"]
        parts += ["notebooks as text, code and output"] if plan.notebooks else []
        parts += ["permissive licences only"] if plan.licences == "permissive" else []
        parts += ["text files of telling names only"] if plan.text_files == "named" else []
        parts += [f"without what {len(plan.opt_out):,} opt-out entries name"] if len(plan.opt_out) else []
        return f"preprocess: {', '.join(parts)}"
    if stage == "exact":
        return "exact: SHA-256; most stars, newest commit, smallest id stays"
    if stage == "fuzzy":
        check = "no check" if minhash.verify is None else f"checked at {minhash.verify}"
        return (
            f"fuzzy: {minhash.num_hashes:,} hashes of {minhash.ngram}-grams, {minhash.bands} bands of {minhash.rows}, "
            f"threshold {minhash.threshold:.3f}, half of the pairs at {minhash.jaccard_at(0.5):.3f}, {check}"
        )
    if stage == "transform":
        return "transform: copyright notices out of first comments, personal data and secrets to placeholders"
    if stage == "filter":
        return f"filter: rulebook {plan.rules.name}, {len(plan.rules):,} rules"
    budgets = ", ".join(f"{language} {size / MB:,.0f} MB" for language, size in sorted(plan.budgets.items()))
    return f"sample: at most {budgets}" if budgets else "sample: no budgets"


def tell_done(report: dict[str, Any], out: Path) -> None:
    """The run in a few lines."""
    total = report["funnel"][0]["bytes_before"] if report["funnel"] else 0
    rate = total / MB / max(report["seconds"], 1e-9)
    say(f"{report['rows']:,} rows, {total / MB:,.1f} MB in {in_words(report['seconds'])} ({rate:.1f} MB/s).")
    if report["skipped"]:
        say(f"No files: {', '.join(f'{n:,} {what}' for what, n in report['skipped'].items())}.")
    for file, entry in report["unreadable_lines"].items():
        say(f"Could not be read in {file}: {entry['n']:,}, such as {'; '.join(entry['examples'][:2])}")
    for what, n in report["notes"].items():
        say(f"Note: {n:,} x {what}.")
    if unused := report["opt_out"]["matched_nothing"]:
        say(f"Opt-out entries that named no file: {len(unused):,}, such as {', '.join(unused[:3])}.")
    say(f"{'stage':<12}{'files':>12}{'MB':>12}{'removed':>12}{'MB':>12}")
    for row in report["funnel"]:
        before, gone = row["bytes_before"] / MB, row["bytes_removed"] / MB
        say(f"{row['stage']:<12}{row['files_before']:>12,}{before:>12,.1f}{row['files_removed']:>12,}{gone:>12,.1f}")
    if report["funnel"]:
        last = report["funnel"][-1]
        say(f"{'kept':<12}{last['files_after']:>12,}{last['bytes_after'] / MB:>12,.1f}")
    if report["transforms"]:
        changed = ", ".join(f"{row['n']:,} x {row['kind']}" for row in report["transforms"][:MOST_KINDS])
        say(f"Changed in texts: {changed}{' and more' * (len(report['transforms']) > MOST_KINDS)}.")
    took = report["seconds_by_pass"]
    say(f"Time: {', '.join(f'{name} {took[name]:.1f} s' for name in PASSES if name in took)}.")
    say(f"Written: {out}/kept and {out}/removed. Read {out}/report.html first.")
