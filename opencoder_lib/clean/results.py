"""What lies in DIR beside the files: clusters, what transforms changed, the report in numbers and as pages."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib.clean.card import card
from opencoder_lib.clean.finish import CHANGES, NO_EDITS, sum_edits
from opencoder_lib.clean.page import page
from opencoder_lib.clean.parts import as_arrow, part, row_groups, write_frame
from opencoder_lib.clean.plan import STAGES, Plan
from opencoder_lib.clean.steps import EARLIER_ID, with_named_survivors
from opencoder_lib.corpora.inputs import Inputs
from opencoder_lib.corpora.reading import printable_path
from opencoder_lib.corpora.tables import MAX_EXAMPLES
from opencoder_lib.durable import write_atomically
from opencoder_lib.files import SCHEMA
from opencoder_lib.licences import is_permissive
from opencoder_lib.refine.edits import count_edits
from opencoder_lib.store import write_json

CLUSTERS = {
    **dict.fromkeys(("cluster", "doc_id", "survivor", "removed_by"), pl.String),
    "measured": pl.Float64,
}
# What is put into DIR, in this order: where the last one is, all are.
OUTPUT = ("kept", "removed", "clusters.parquet", "transforms.parquet", "README.md", "report.html", "report.json")
# Groups of copies by their size, the last class without an end.
SIZES = (2, 3, 5, 9, 17, 65, 1025)


def write_results(
    plan: Plan, inputs: Inputs, notes: dict[str, dict], run: Any, about: dict[str, Any], seconds: float
) -> None:
    """All of the output that is not files, the report last."""
    # Tasks that were killed leave their parts half-written.
    for folder in ("kept", "removed"):
        for left in plan.place.path("done", folder).glob(".*.tmp"):
            left.unlink(missing_ok=True)
    clusters = _write_clusters(plan)
    _write_transforms(plan)
    _empty_parts(plan)
    report = _report(plan, inputs, notes, about, clusters)
    report |= {
        "seconds": round(seconds, 3),
        "seconds_by_pass": {name: round(took, 3) for name, took in run.seconds.items()},
        "engine": run.engine.name,
    }
    done, name = plan.place.path("done"), Path(plan.out).name
    for place, text in (("README.md", card(report, name)), ("report.html", page(report, name))):
        write_atomically(done / place, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    write_json(done / "report.json", report)


def _write_clusters(plan: Plan) -> pl.DataFrame:
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
    return frame


def _write_transforms(plan: Plan) -> None:
    """transforms.parquet: what was changed in which file."""
    target = plan.place.path("done", "transforms.parquet")
    with part(target) as writer:
        for path in plan.place.parts("edits"):
            for rows in row_groups(path):
                writer.add(rows)
    if not writer.rows:
        write_frame(target, pl.DataFrame(schema=CHANGES))


def _empty_parts(plan: Plan) -> None:
    """Where a folder of the output would be empty, a file without rows says so."""
    for name in ("kept", "removed"):
        folder = plan.place.path("done", name)
        if not any(folder.glob("*.parquet")):
            schema = {column: {**SCHEMA, **plan.extra}.get(column, pl.String) for column in plan.columns}
            table = as_arrow(pl.DataFrame(schema=schema))
            write_frame(folder / "none.parquet", pl.DataFrame(table))


def _report(
    plan: Plan, inputs: Inputs, notes: dict[str, dict], about: dict[str, Any], clusters: pl.DataFrame
) -> dict[str, Any]:
    """The numbers of the run, as plain data."""
    read, written = notes["read"].values(), [*notes["write"].values(), *notes["sample"].values()]
    tally = _tally_of(written, notes["sample"].values())
    opted_out: Counter = Counter()
    for note in read:
        opted_out.update({int(number): n for number, n in note["opted_out"].items()})
    unused = [plan.opt_out.name(number) for number in range(len(plan.opt_out)) if not opted_out[number]]
    return {
        "about": about,
        "inputs": [printable_path(path) for path in inputs.names],
        "rows": sum(note["rows"] for note in read),
        "skipped": dict(inputs.skipped),
        "unreadable_lines": _problems(read),
        "notes": dict(inputs.notes),
        "opt_out": {"entries": len(plan.opt_out), "files": sum(opted_out.values()), "matched_nothing": unused},
        "funnel": _funnel(plan, tally),
        "removed_by": _removed_by(tally),
        "languages": _by(tally, ("language", "category")),
        "transforms": _edits(notes["write"].values()).to_dicts(),
        "dedup": _groups(clusters),
        "licences": _licences(tally),
        "sampling": _sampling(plan),
        "files": [
            dict(zip(("path", "rows", "bytes", "sha256"), row, strict=True))
            for row in sorted(row for note in written for row in note["files"])
        ],
    }


def _tally_of(written: list[dict], sampled: Any) -> pl.DataFrame:
    """One row a reason (empty for those kept), language, category and licence: files, bytes as found, bytes cut."""
    found: Counter = Counter()
    for note in written:
        for *key, what, n in note["tally"]:
            found[*key, what] += n
    # What goes for a budget was among those kept before.
    for note in sampled:
        for _, *key, what, n in note["tally"]:
            found["", *key, what] -= n
    rows = [
        dict(zip(("reason", "language", "category", "license", "what", "n"), (*key, n), strict=True))
        for key, n in sorted(found.items())
    ]
    schema = dict.fromkeys(("reason", "language", "category", "license", "what"), pl.String) | {"n": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema)
    by = ("reason", "language", "category", "license")
    sums = {what: pl.col("n").filter(pl.col("what") == what).sum() for what in ("files", "bytes", "cut")}
    return frame.group_by(by).agg(**sums).filter(pl.col("files") > 0).sort(by)


def _problems(read: Any) -> dict[str, Any]:
    problems: dict[str, Any] = {}
    for note in read:
        for file, entry in note["problems"].items():
            total = problems.setdefault(file, {"n": 0, "examples": []})
            total["n"] += entry["n"]
            total["examples"] = (total["examples"] + entry["examples"])[:MAX_EXAMPLES]
    return problems


def _removed_by(tally: pl.DataFrame) -> dict[str, dict[str, int]]:
    gone = tally.filter(pl.col("reason") != "").group_by("reason").agg(pl.col("files", "bytes").sum())
    gone = gone.sort("files", "reason", descending=[True, False])
    return {reason: {"files": n, "bytes": size} for reason, n, size in gone.iter_rows()}


def _funnel(plan: Plan, tally: pl.DataFrame) -> list[dict[str, Any]]:
    """Files and bytes before, removed and after, by stage; what arrived removed by another hand comes first.

    From the transform on, bytes are those of the texts as they are then.
    """
    stage = pl.col("reason").str.split(".").list.first()
    gone = {
        row["stage"]: row for row in tally.group_by(stage=stage).agg(pl.col("files", "bytes", "cut").sum()).to_dicts()
    }
    kept = gone.pop("", None)
    later = STAGES[STAGES.index("transform") + 1 :]
    cut = sum(row["cut"] for name, row in [*gone.items(), ("filter", kept)] if row and name in later)
    # A notebook is shorter, whether or not the plan has transforms.
    ran = {*gone, *plan.stages, *(["transform"] if cut else [])}
    order = [*sorted(set(gone) - set(STAGES)), *(name for name in STAGES if name in ran)]
    files, size, rows = int(tally["files"].sum()), int(tally["bytes"].sum()), []
    for name in order:
        went = gone.get(name, {"files": 0, "bytes": 0, "cut": 0})
        n_bytes = cut if name == "transform" else went["bytes"] - (went["cut"] if name in later else 0)
        row = {"stage": name, "files_before": files, "bytes_before": size}
        files, size = files - went["files"], size - n_bytes
        rows.append(
            row
            | {"files_removed": went["files"], "bytes_removed": n_bytes}
            | {"files_after": files, "bytes_after": size}
        )
    return rows


def _by(tally: pl.DataFrame, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Files and bytes read and kept, by `names`, the largest first; kept bytes are those of the texts now."""
    stays = pl.col("reason") == ""
    frame = tally.group_by(names).agg(
        files_read=pl.col("files").sum(),
        bytes_read=pl.col("bytes").sum(),
        files_kept=pl.col("files").filter(stays).sum(),
        bytes_kept=(pl.col("bytes") - pl.col("cut")).filter(stays).sum(),
    )
    found = frame.sort("bytes_kept", *names, descending=[True, *[False] * len(names)])
    return found.with_columns(pl.col(name).replace("", None) for name in names).to_dicts()


def _licences(tally: pl.DataFrame) -> list[dict[str, Any]]:
    return [row | {"permissive": is_permissive(row["license"])} for row in _by(tally, ("license",))]


def _edits(written: Any) -> pl.DataFrame:
    none = count_edits(NO_EDITS)
    return sum_edits(pl.DataFrame([row for note in written for row in note["edits"]], schema=none.schema, orient="row"))


def _groups(clusters: pl.DataFrame) -> list[dict[str, Any]]:
    """How many groups of copies each stage found, and how large they are, the file that stayed among them."""
    found = []
    for stage in ("exact", "fuzzy"):
        # A group of equal files is named after the one that stays, whose id another run may have given, too.
        by = [name for name in ("cluster", "survivor_in")[: 1 + (stage == "exact")] if name in clusters.columns]
        sizes = clusters.filter(pl.col("stage") == stage).group_by(by).agg(size=pl.len() + 1)
        if sizes.is_empty():
            continue
        classes = []
        for low, high in zip(SIZES, (*(size - 1 for size in SIZES[1:]), None), strict=True):
            n = sizes.filter(pl.col("size").is_between(low, high or 2**31)).height
            name = str(low) if low == high else f"{low:,}-{high:,}" if high else f"{low:,} or more"
            classes += [{"size": name, "groups": n}] if n else []
        about = {"stage": stage, "groups": sizes.height, "files": int(sizes["size"].sum()) - sizes.height}
        found.append(about | {"largest": int(sizes["size"].max()), "sizes": classes})
    return found


def _sampling(plan: Plan) -> list[dict[str, Any]]:
    path = plan.place.path("cut-offs.parquet")
    return pl.read_parquet(path, glob=False).drop("cut_off").sort("language").to_dicts() if path.exists() else []
