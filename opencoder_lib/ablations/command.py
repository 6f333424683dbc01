"""`opencoder ablate`: an experiment outside a notebook. Cost and power first, then the runs, then what they say."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Protocol

import polars as pl

from opencoder_lib.ablations.experiment import Design, announce, run
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.evaluate.ablation import TRAIN_LOSS, Results, in_words, over_units, paired
from opencoder_lib.files import judged
from opencoder_lib.store import Store, project_root

CORPUS = "01-collect-and-preprocess"
# Name of the experiment -> the module whose `order(corpus, seeds)` gives its design.
EXPERIMENTS = {
    "dedup-level": "opencoder_lib.ablations.dedup_level",
    "annealing-data": "opencoder_lib.ablations.annealing",
    "github-stars": "opencoder_lib.ablations.stars",
    "filtering": "opencoder_lib.ablations.filtering",
}


class Order(Protocol):
    """What a module of an experiment offers: its design with all arms, from the stored corpus."""

    def order(self, corpus: "StoredCorpus", seeds: Sequence[int]) -> Design:
        """The design of the experiment for these seeds."""


class StoredCorpus:
    """The corpus as the chapters of one profile left it."""

    def __init__(self, profile: str):
        self._store = Store(project_root(), profile)

    def after(self, chapter: str) -> pl.DataFrame:
        """The file frame after a chapter. Raises MissingArtifact with the command that makes it."""
        asker = "opencoder ablate"
        if chapter == CORPUS:
            return self._store.load(CORPUS, "documents", asker)
        # Asked for first, so that what is missing is named with the command that makes all of it.
        judgements = self._store.load(chapter, "judgements", asker)
        changed_by = self._store.describe(chapter, "judgements").get("texts")
        documents = self._store.load(CORPUS, "documents", asker)
        texts = self._store.load(changed_by, "texts", asker) if changed_by else None
        return judged(documents, judgements, texts)


def ablate(
    name: str, num_seeds: int, arms: Sequence[str], out: Path | None, profile: str, workers: int, dry_run: bool
) -> None:
    """Announce the experiment `name`, run it unless `dry_run`, write its tables to `out` and say what they show."""
    if name not in EXPERIMENTS:
        raise ConfigError(f"There is no experiment {name!r}.{did_you_mean(name, EXPERIMENTS)}")
    out = out or project_root() / "build" / profile / "ablations" / name
    seeds = range(num_seeds)
    print(f"Making the data of all arms for {num_seeds} seed{'s' * (num_seeds > 1)} …", flush=True)
    design = import_module(EXPERIMENTS[name]).order(StoredCorpus(profile), seeds)
    if arms:
        design = design.only(arms_named(arms, design.arms))
    print(announce(design, seeds, out / "work", workers), flush=True)
    if dry_run:
        return
    results = run(design, seeds, out / "work", workers, say=lambda line: print(line, flush=True))
    paths = results.write_csv(out)
    print(f"\n{conclusions(design, results)}\n\nTables: {', '.join(path.name for path in paths)} in {out}")


def arms_named(pieces: Sequence[str], known: Collection[str]) -> list[str]:
    """The arms that a list names which was split at its commas: an arm's own name may hold one."""
    left, found = list(pieces), []
    while left:
        fits = [count for count in range(1, len(left) + 1) if ", ".join(left[:count]) in known]
        count = max(fits, default=1)
        found.append(", ".join(left[:count]))
        left = left[count:]
    return found


def conclusions(design: Design, results: Results) -> str:
    """Each arm against the baseline in words (over seeds, over held-out units, in training loss) and the control."""
    lines = [f"{design.metric}, against {design.baseline!r} ({design.control!r} is the control):"]
    loss = {row["arm"]: row for row in paired(results, TRAIN_LOSS).iter_rows(named=True)}
    over_control = paired(replace(results, baseline=design.control), design.metric)
    control = {row["arm"]: row for row in over_control.iter_rows(named=True)}
    for row in paired(results, design.metric).iter_rows(named=True):
        units = over_units(results, row["arm"], design.metric)
        lines += [
            f"  {row['arm']}: {in_words(row)}",
            f"    over {units['units']} held-out units: {units['low']:+.3f} to {units['high']:+.3f} (95 % bootstrap), "
            f"{units['frac_worse']:.0%} of them worse; training loss {in_words(loss[row['arm']], 'nats a token')}",
        ]
        if row["arm"] != design.control:
            lines.append(f"    against the control: {in_words(control[row['arm']])}")
    return "\n".join(lines)
