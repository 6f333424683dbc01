"""An experiment grid: arms x paired seeds, what comes out of it, and how sure that is.

Arms are compared within a seed: the same first weights and the same held-out texts, so that what differs is the data.
The grid is handed the training function; it knows nothing of models. Runs are worked off in processes of one thread,
each finished run stays on disk, and giving the same command again goes on, also with more seeds or more arms. (With a
shared trunk all arms of a seed are one piece of work: another arm trains the seed again.)
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from scipy import stats

from opencoder_lib.durable import write_atomically
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.intervals import percentile_interval, resamples
from opencoder_lib.shards import Parts, work_off
from opencoder_lib.store import library_hash

CONFIDENCE = 0.95
POWER = 0.8
TABLES = {
    "runs": {"arm": pl.String, "seed": pl.Int64, "metric": pl.String, "value": pl.Float64},
    "losses": {"arm": pl.String, "seed": pl.Int64, "tokens": pl.Int64, "loss": pl.Float64},
    "evaluations": {
        "arm": pl.String,
        "seed": pl.Int64,
        "set": pl.String,
        "step": pl.Int64,
        "tokens": pl.Int64,
        "bits_per_byte": pl.Float64,
    },
    "units": {
        "arm": pl.String,
        "seed": pl.Int64,
        "set": pl.String,
        "unit": pl.String,
        "bits": pl.Float64,
        "n_bytes": pl.Int64,
    },
    "read": {
        "arm": pl.String,
        "seed": pl.Int64,
        "source": pl.String,
        "tokens": pl.Int64,
        "source_tokens": pl.Int64,
        "passes": pl.Float64,
    },
}
TRAIN_LOSS = "training loss"


class Train(Protocol):
    """The training function of a grid: `train.arms.Trainer` is one. It must be picklable.

    Called with a seed and names of arms it gives, for each arm, `losses` (rows of tokens, loss), `evaluations` (rows of
    set, step, tokens, bits_per_byte), `units` (set, unit, bits, n_bytes at the end), `scores` (name -> value), `read`
    (source, tokens, source_tokens, passes) and `seconds` of processor time. `key` is a hash of all this depends on.
    """

    def __call__(self, seed: int, arms: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The outcome of each arm."""

    def key(self, seed: int, arms: Sequence[str]) -> str:
        """A hash that changes when the outcome could."""


@dataclass(frozen=True)
class Results:
    """What the runs of a grid gave, as frames with the columns of TABLES. baseline: the arm others are compared with.

    `runs` has the final value of each metric: bits per byte of a held-out set under the set's name, TRAIN_LOSS (nats a
    token, mean of the last tenth of an arm's steps), 'seconds', and the scores.
    """

    name: str
    baseline: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: pl.DataFrame
    losses: pl.DataFrame
    evaluations: pl.DataFrame
    units: pl.DataFrame
    read: pl.DataFrame

    def write_csv(self, folder: Path) -> list[Path]:
        """Write each frame as <table>.csv, atomically; return the paths."""
        paths = [folder / f"{table}.csv" for table in TABLES]
        for path in paths:
            write_atomically(path, getattr(self, path.stem).write_csv)
        return paths


@dataclass(frozen=True)
class _Job:
    """One call of the training function."""

    number: int
    key: str
    first: str
    seed: int
    arms: tuple[str, ...]


@dataclass(frozen=True)
class _Work:
    train: Train

    def __call__(self, job: _Job) -> tuple[pl.DataFrame, dict[str, Any]]:
        outcomes = self.train(job.seed, job.arms)
        return pl.DataFrame({"arm": list(outcomes)}), {"outcomes": outcomes}


def run_grid(
    name: str,
    train: Train,
    arms: Sequence[str],
    baseline: str,
    seeds: Sequence[int],
    folder: Path,
    *,
    workers: int = 2,
    together: bool = False,
    say: Callable[[str], None] | None = None,
) -> Results:
    """Every arm trained for every seed.

    folder: where finished runs stay; another call goes on from there. together: one call of `train` for all arms of a
    seed, as a shared trunk wants it. workers: processes of one thread; with 1 the runs are done in this one. say: told
    after each job. Raises ConfigError when arms or seeds do not make an experiment, or when the runs of a seed were
    trained on different numbers of tokens: then nothing could be said about their data.
    """
    _check(arms, baseline, seeds)
    groups = [tuple(arms)] if together else [(arm,) for arm in arms]
    jobs = [_job(seed, group, train.key(seed, group)) for seed in seeds for group in groups]
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: dict[tuple[str, int], dict] = {}
    # The code that trains is part of what a result depends on; the seeds and arms asked for are not.
    with Parts(folder / name, {"library": library_hash("train")}) as parts:
        if parts.differs and say:
            say(f"{name}: the code has changed, so the runs of before are not taken over.")
        for count, done in enumerate(work_off(jobs, _Work(train), parts, workers), 1):
            job, found = done.shard, done.notes["outcomes"]
            outcomes |= {(arm, job.seed): found[arm] for arm in job.arms}
            if say:
                say(_progress(name, count, len(jobs), done.kept, job, found))
    return _results(name, baseline, tuple(arms), tuple(seeds), outcomes)


def _check(arms: Sequence[str], baseline: str, seeds: Sequence[int]) -> None:
    if len(set(arms)) != len(arms) or len(arms) < 2:
        raise ConfigError(f"A comparison needs two or more different arms, not {', '.join(arms) or 'none'}.")
    if baseline not in arms:
        raise ConfigError(f"The baseline {baseline!r} is no arm.{did_you_mean(baseline, arms)}")
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ConfigError(f"Seeds must be different and at least one: {list(seeds)}.")


def _job(seed: int, arms: tuple[str, ...], key: str) -> _Job:
    # The number orders nothing here and must not change when seeds or arms are added.
    number = int(hashlib.sha256(f"{seed}\0{arms}".encode()).hexdigest()[:6], 16)
    return _Job(number, key, f"{', '.join(arms)} (seed {seed})", seed, arms)


def _progress(name: str, count: int, of: int, kept: bool, job: _Job, found: dict) -> str:
    how = "kept from before" if kept else f"{sum(outcome['seconds'] for outcome in found.values()):.0f} CPU-s"
    return f"{name}: {count} of {of} done, {job.first}: {how}"


def _results(
    name: str, baseline: str, arms: tuple[str, ...], seeds: tuple[int, ...], outcomes: dict[tuple[str, int], dict]
) -> Results:
    tables: dict[str, list[dict]] = {table: [] for table in TABLES}
    for arm in arms:
        for seed in seeds:
            outcome, label = outcomes[arm, seed], {"arm": arm, "seed": seed}
            for table in ("losses", "evaluations", "units", "read"):
                tables[table] += [label | {key: row[key] for key in row} for row in outcome[table]]
            tables["runs"] += [label | {"metric": key, "value": value} for key, value in _finals(outcome).items()]
    frames = {table: pl.DataFrame(rows, schema=TABLES[table]) for table, rows in tables.items()}
    _same_tokens(frames["read"])
    return Results(name, baseline, arms, seeds, **frames)


def _finals(outcome: dict[str, Any]) -> dict[str, float]:
    """The last value of each metric of one run."""
    last = outcome["evaluations"][-1]["step"]
    finals = {row["set"]: row["bits_per_byte"] for row in outcome["evaluations"] if row["step"] == last}
    losses = [row["loss"] for row in outcome["losses"]]
    tail = losses[-max(1, len(losses) // 10) :]
    return finals | {TRAIN_LOSS: float(np.mean(tail)), "seconds": outcome["seconds"]} | outcome["scores"]


def _same_tokens(read: pl.DataFrame) -> None:
    totals = read.group_by("seed", "arm").agg(pl.col("tokens").sum()).sort("seed", "arm")
    for (seed,), rows in totals.group_by("seed", maintain_order=True):
        if rows["tokens"].n_unique() > 1:
            told = ", ".join(f"{arm} {tokens:,}" for arm, tokens in rows.select("arm", "tokens").iter_rows())
            raise ConfigError(f"The arms of seed {seed} were trained on different numbers of tokens: {told}.")


def paired(results: Results, metric: str) -> pl.DataFrame:
    """Each arm against the baseline, seed by seed: one row an arm.

    Columns: arm, n (seeds), mean, mean_baseline, difference (arm minus baseline, mean over seeds), sd of the paired
    differences, low and high (95 % interval of Student's t), p (two-sided paired t test), p_holm (Holm's correction
    over the arms), differences (one a seed). With one seed there is no interval: sd, low, high and p are null.
    """
    values = results.runs.filter(pl.col("metric") == metric)
    if values.is_empty():
        raise ConfigError(f"No run has a metric {metric!r}.{did_you_mean(metric, results.runs['metric'].unique())}")
    by_seed = values.pivot(on="arm", index="seed", values="value").sort("seed")
    rows = [_against(results.baseline, arm, by_seed) for arm in results.arms if arm != results.baseline]
    return pl.DataFrame(rows, schema_overrides={"differences": pl.List(pl.Float64)}).with_columns(
        p_holm=pl.Series(_holm([row["p"] for row in rows]), dtype=pl.Float64)
    )


def _against(baseline: str, arm: str, by_seed: pl.DataFrame) -> dict[str, Any]:
    base, own = by_seed[baseline].to_numpy(), by_seed[arm].to_numpy()
    change_S = own - base
    n, mean = len(change_S), float(change_S.mean())
    row = {"arm": arm, "n": n, "mean": float(own.mean()), "mean_baseline": float(base.mean()), "difference": mean}
    unknown = {"sd": None, "low": None, "high": None, "p": None}
    if n > 1:
        sd = float(change_S.std(ddof=1))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / n**0.5
        p = float(stats.ttest_rel(own, base).pvalue) if sd else float(mean == 0)
        unknown = {"sd": sd, "low": mean - half, "high": mean + half, "p": p}
    return row | unknown | {"differences": change_S.tolist()}


def _holm(p_values: list[float | None]) -> list[float | None]:
    """Holm's step-down correction: each p times the number of tests not yet decided, never below an earlier one."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[place] = largest
    return corrected


def over_units(results: Results, arm: str, held_out: str, seed: int = 0, num_resamples: int = 2_000) -> dict[str, Any]:
    """How the difference to the baseline varies over held-out units (repositories, families), seeds averaged.

    Returns difference in bits per byte, low and high (95 % percentile bootstrap over units), units, frac_worse (share
    of units that cost more bits in this arm) and `by_unit` (unit, n_bytes, difference). It answers "would other
    repositories say the same?"; `paired` answers "would another seed?".
    """
    chosen = results.units.filter((pl.col("set") == held_out) & pl.col("arm").is_in([arm, results.baseline]))
    if chosen.is_empty():
        raise ConfigError(f"No run has a held-out set {held_out!r}.{did_you_mean(held_out, results.units['set'])}")
    bits = chosen.group_by("unit", "arm").agg(pl.col("bits").mean(), pl.col("n_bytes").first())
    wide = bits.pivot(on="arm", index=["unit", "n_bytes"], values="bits").sort("unit")
    change_U = (wide[arm] - wide[results.baseline]).to_numpy()
    n_bytes_U = wide["n_bytes"].to_numpy()
    draws_SU = resamples(len(change_U), num_resamples, seed, f"units of {held_out}")
    low, high = percentile_interval(draws_SU @ change_U / (draws_SU @ n_bytes_U))
    by_unit = wide.select("unit", "n_bytes").with_columns(difference=pl.Series(change_U / n_bytes_U))
    return {
        "difference": float(change_U.sum() / n_bytes_U.sum()),
        "low": low,
        "high": high,
        "units": len(change_U),
        "frac_worse": float((change_U > 0).mean()),
        "by_unit": by_unit,
    }


@dataclass(frozen=True)
class Resolution:
    """What n paired seeds can see. visible: the smallest mean difference whose 95 % interval excludes zero; likely:
    the true difference that is found with a probability of 80 %. Both in the unit of `sd`."""

    n: int
    sd: float
    visible: float
    likely: float


def resolution(sd: float, n: int) -> Resolution:
    """What `n` seeds can see if paired differences scatter by `sd`. Raises ConfigError for fewer than two seeds."""
    if n < 2 or sd <= 0:
        raise ConfigError(f"n={n}, sd={sd}: an interval needs two seeds or more and a spread above zero.")
    critical = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))

    def power(effect: float) -> float:
        shift = effect * n**0.5 / sd
        return float(stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift))

    low, high = 0.0, 40.0 * sd
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < POWER else (low, middle)
    return Resolution(n, sd, critical * sd / n**0.5, high)


def in_words(row: dict[str, Any], unit: str = "bits per byte", digits: int = 3) -> str:
    """A row of `paired` as a caption states it, with what may be concluded from it."""
    change = f"{row['difference']:+.{digits}f} {unit}"
    if row["low"] is None:
        return f"{change} (one seed, so no interval)"
    interval = f"{row['low']:+.{digits}f} to {row['high']:+.{digits}f}, 95 % t interval, n = {row['n']} seeds"
    seen = "" if differs(row) else "; no difference seen at this size"
    return f"{change} ({interval}{seen})"


def differs(row: dict[str, Any], sign: int = 0) -> bool:
    """Whether the interval of a row of `paired` excludes zero; with sign +1 or -1 only on that side."""
    if row["low"] is None:
        return False
    return (row["low"] > 0 and sign >= 0) or (row["high"] < 0 and sign <= 0)
