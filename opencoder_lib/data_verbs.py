"""What `opencoder signals` and `opencoder filter` do: inputs in shards, signals or decisions out, and a report."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from opencoder_lib import MB, __version__
from opencoder_lib.compiled import is_first_run
from opencoder_lib.corpora.inputs import SHARD_BYTES, Inputs, Shard, open_inputs
from opencoder_lib.corpora.reading import printable_path
from opencoder_lib.corpora.tables import Columns
from opencoder_lib.errors import CookbookError
from opencoder_lib.files import new_files, remaining
from opencoder_lib.languages import with_languages
from opencoder_lib.machine import num_processors
from opencoder_lib.progress import Meter, in_words
from opencoder_lib.quality import compute_signals, decide, load_rules, null_report
from opencoder_lib.quality.compute import with_scope
from opencoder_lib.quality.official import with_official_names
from opencoder_lib.quality.registry import official_signals
from opencoder_lib.quality.rules import Rulebook
from opencoder_lib.quality.tokenizers import has_conversion
from opencoder_lib.shards import Done, Parts, explained_if_full, parts_folder, work_off
from opencoder_lib.store import library_hash, versions, write_json

Outcome = tuple[pl.DataFrame, dict[str, Any]]
console = Console(soft_wrap=True, highlight=False)


class OutputError(CookbookError):
    """The output cannot be written where it was asked for."""

    exit_code = 2


def write_signals(
    paths: Sequence[str], out: Path, columns: Columns, official: bool = False, jobs: int | None = None, **options: Any
) -> dict[str, Any]:
    """Write `doc_id` and one column per signal for every row of the inputs; return the report.

    A row whose file could not be read has nulls. official: columns under the names of the official release.
    jobs: processes, by default as many as there are processors.
    """
    work = partial(signals_of, official=official)
    return _run(paths, out, columns, jobs, {"verb": "signals", "official_names": official}, work, **options)


def write_decisions(
    paths: Sequence[str],
    out: Path,
    columns: Columns,
    rulebook: str = "released",
    jobs: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write `doc_id`, `decision`, `removed_by` and `fired` for every row of the inputs; return the report.

    A row whose file could not be read is dropped with its reason, as is one that an earlier stage removed.
    """
    rules = load_rules(rulebook)
    about = {"name": rules.name, "sha256": rules.sha256, "rules": len(rules)}
    work = partial(decisions_of, rules=rules)
    return _run(paths, out, columns, jobs, {"verb": "filter", "rulebook": about}, work, **options)


def signals_of(files: pl.DataFrame, official: bool) -> Outcome:
    """The rows that `signals` writes for these files, and their share of the report."""
    files = with_languages(files)
    signals = compute_signals(files, names=official_signals() if official else None)
    notes = _notes(files, signals)
    if official:
        signals = with_official_names(files, signals)
    return files.select("doc_id").join(signals, on="doc_id", how="left", maintain_order="left"), notes


def decisions_of(files: pl.DataFrame, rules: Rulebook) -> Outcome:
    """The rows that `filter` writes for these files, and their share of the report."""
    files = with_languages(files)
    signals = compute_signals(files, names={rule.signal for rule in rules})
    found = decide(files, signals, rules).select("doc_id", "decision", "removed_by", "fired")
    gone = files.filter(pl.col("removed_by").is_not_null()).select(
        "doc_id", "removed_by", decision=pl.lit("drop"), fired=pl.lit([], dtype=pl.List(pl.String))
    )
    found = files.select("doc_id").join(
        pl.concat([found, gone.select(found.columns)]), on="doc_id", how="left", maintain_order="left"
    )
    fired = found.select("fired", alone=pl.col("fired").list.len() == 1).explode("fired").drop_nulls("fired")
    notes = _notes(files, signals) | {
        "decisions": _counts(found["decision"]),
        "removed_by": _counts(found["removed_by"].drop_nulls()),
        "hits": _counts(fired["fired"]),
        "exclusive_hits": _counts(fired.filter("alone")["fired"]),
    }
    return found, notes


def _notes(files: pl.DataFrame, signals: pl.DataFrame) -> dict[str, Any]:
    """What the report sums up over shards. Nulls are counted by 'scope signal because'."""
    here = remaining(files)
    nulls = null_report(here, signals)
    return {
        "rows": files.height,
        "bytes": int(here["text"].str.len_bytes().sum()),
        "not_processed": _counts(files["removed_by"].drop_nulls()),
        "scopes": _counts(with_scope(here)["scope"].drop_nulls()),
        "nulls": {"\t".join(row[:-1]): row[-1] for row in nulls.select("scope", "signal", "because", "nulls").rows()},
    }


def _counts(column: pl.Series) -> dict[str, int]:
    return dict(column.value_counts(sort=True, name="n").sort("n", column.name, descending=[True, False]).iter_rows())


def _run(
    paths: Sequence[str],
    out: Path,
    columns: Columns,
    jobs: int | None,
    parameters: dict[str, Any],
    work: Callable[[pl.DataFrame], Outcome],
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, Any]:
    """Work off all inputs, write OUT and its report, and return the report."""
    began, jobs = time.monotonic(), jobs or num_processors()
    _check_output(out)
    report_path = out.with_name(f"{out.name}.report.json")
    named = asdict(columns) | {"constants": dict(columns.constants)}
    parameters |= {"columns": named, "zh_conversion": has_conversion(), "shard_bytes": shard_bytes}
    about = {"versions": _versions(), "library_sha256": library_hash("corpora", "quality", "syntax")}
    inputs = open_inputs(paths, columns, outputs=(out, report_path, parts_folder(out)))
    if is_first_run():
        console.print("The first run of this version compiles its loops: up to a minute, once.")
    with Parts(out, parameters | about | {"inputs": inputs.names}) as parts:
        totals, part_paths = _work_through(inputs.shards(shard_bytes), work, parts, jobs, inputs.total_bytes)
        empty, notes = work(new_files([{"path": "", "origin": "folder", "text": ""}]).clear())
        totals.add_notes(notes)
        rows = parts.merge(sorted(part_paths), empty)
        seconds = time.monotonic() - began
        report = {
            **{"inputs": [printable_path(path) for path in paths], "num_inputs": len(inputs.names), "out": out.name},
            **{"parameters": parameters, "jobs": jobs, "rows": rows, "seconds": round(seconds, 3)},
            **totals.report(seconds),
            **{"skipped": dict(inputs.skipped), "unreadable_lines": inputs.problems.found},
            "notes": dict(inputs.notes),
            **about,
        }
        with explained_if_full(report_path):
            write_json(report_path, report)
        parts.remove()
    _say_done(report, inputs, out)
    return report


def _work_through(
    shards: Iterator[Shard], work: Callable[[pl.DataFrame], Outcome], parts: Parts, jobs: int, total_bytes: int
) -> tuple["Totals", list[Path]]:
    """Work off all shards under a progress meter; what they add up to, and where their parts lie."""
    totals, paths = Totals(), []
    with Meter(total_bytes) as meter:
        if parts.differs:
            differences = " and ".join(parts.differs)
            meter.say(f"An unfinished run left parts, but it differed in {differences}: starting afresh without them.")
        try:
            for done in work_off(shards, partial(_of_shard, work=work), parts, jobs):
                totals.add(done)
                paths.append(done.path)
                meter.advance(done.shard.n_stored, done.notes["bytes"], done.kept)
        except KeyboardInterrupt:
            meter.say(f"Stopped. What is done is kept ({len(paths)} shards): the same command goes on from there.")
            raise
    return totals, paths


def _of_shard(shard: Shard, work: Callable[[pl.DataFrame], Outcome]) -> Outcome:
    return work(shard.read())


class Totals:
    """What shards noted, summed up as they come in."""

    def __init__(self):
        self.numbers: Counter = Counter()
        self.tables: dict[str, Counter] = {}

    def add(self, done: Done) -> None:
        """One more shard."""
        self.add_notes(done.notes)
        self.numbers["shards"] += 1
        self.numbers["seconds_at_work"] += done.seconds
        if done.kept:
            self.numbers["kept_shards"] += 1
            self.numbers["kept_bytes"] += done.notes["bytes"]

    def add_notes(self, notes: dict[str, Any]) -> None:
        """Numbers are added up, and so are tables of numbers, name by name."""
        for name, value in notes.items():
            if isinstance(value, dict):
                self.tables.setdefault(name, Counter()).update(value)
            else:
                self.numbers[name] += value

    def report(self, seconds: float) -> dict[str, Any]:
        """The sums; nulls as one entry a scope and signal, most frequent first. MB/s counts this run's work only."""
        numbers, tables = self.numbers, {name: dict(table.most_common()) for name, table in self.tables.items()}
        scopes = tables.pop("scopes", {})
        nulls = []
        for key, n in tables.pop("nulls", {}).items():
            scope, signal, because = key.split("\t")
            nulls.append({"scope": scope, "signal": signal, "nulls": n, "files": scopes[scope], "because": because})
        return tables | {
            "bytes": numbers["bytes"],
            "mb_per_s": round((numbers["bytes"] - numbers["kept_bytes"]) / MB / seconds, 3),
            "seconds_at_work": round(numbers["seconds_at_work"], 3),
            "shards": numbers["shards"],
            "shards_kept_from_an_earlier_run": numbers["kept_shards"],
            "files_by_scope": scopes,
            "nulls": nulls,
        }


def _check_output(out: Path) -> None:
    """Raise OutputError if OUT cannot be a Parquet file where it is asked for."""
    if out.suffix != ".parquet":
        raise OutputError(f"The last argument is the output and must end in .parquet, not {out.name!r}.")
    if printable_path(str(out)) != str(out):
        raise OutputError(f"The name of the output, {printable_path(str(out))!r}, is not UTF-8. Choose another.")
    if not out.parent.is_dir():
        raise OutputError(f"There is no folder {str(out.parent)!r} to write {out.name} into. Make it first.")
    if out.is_dir():
        raise OutputError(f"{str(out)!r} is a folder. Name a file.")


def _versions() -> dict[str, str]:
    """Versions of what can change a value."""
    return versions() | {"opencoder": __version__}


def _say_done(report: dict[str, Any], inputs: Inputs, out: Path) -> None:
    """The run in a few lines: what was read, what could not be, what came out."""

    def say(text: str) -> None:
        console.print(text, markup=False)

    took = f"{report['bytes'] / MB:,.1f} MB in {in_words(report['seconds'])} ({report['mb_per_s']:.1f} MB/s)"
    say(f"{report['rows']:,} rows, {took}.")
    if kept := report["shards_kept_from_an_earlier_run"]:
        say(f"{kept} of {report['shards']} shards were there from an earlier run; the rate counts the others only.")
    told = {"Without text": "not_processed", "No files": "skipped", "Notes": "notes"}
    for title, counts in ((title, report[name]) for title, name in told.items()):
        if counts:
            say(f"{title}: {', '.join(f'{n:,} {what}' for what, n in counts.items())}.")
    if inputs.problems.total:
        say(f"Lines that could not be read: {inputs.problems.total:,}")
        for file, entry in inputs.problems.found.items():
            say(f"  {file}: {entry['n']:,}, such as {'; '.join(entry['examples'][:2])}")
    for name, n in report.get("decisions", {}).items():
        say(f"{name:<10}{n:>12,}")
    say(f"Written: {out} and {out.name}.report.json")
