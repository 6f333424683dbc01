"""How `opencoder clean` grows with its input, measured from outside.

    measure_clean(num_files, ...)    one run over generated files: seconds, memory, bytes that are stored and moved
    least_disturbed(runs)            of several runs of each size the one that neighbours on the machine slowed least
    fit_per_file(files, values)      a fixed cost, a cost for each file, and the power that the values grow with
    late_line(files, values)         a cost for each file of what first fills up and then grows, such as memory

What that means for a size that nobody ran here is arithmetic, and has a module of its own: `extrapolation`.
"""

import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.optimize import nnls
from scipy.special import stdtrit

from opencoder_lib.clean.command import TAKES_PART
from opencoder_lib.clean.generated import Composition, generate_files
from opencoder_lib.clean.parts import WORK
from opencoder_lib.clean.steps import FOUND_AT, ID
from opencoder_lib.errors import ConfigError, CookbookError
from opencoder_lib.store import library_hash, read_json

STAGES = "preprocess,exact,fuzzy"
# What is kept of a run while it lasts, by the folder it lies in.
STORED = ("text", "digests", "keys", "bands", "sets", "decide")
# What the driver puts down of the files that resemble another one.
LINKS = ("members.parquet", "shared.parquet", "same.parquet", "wanted.parquet")
# A pass counts from its first file on, with what the driver does after it: exact after digests, candidates after keys.
PASSES = ("start", "read", "digests", "keys", "sets", "decide", "write")
# Folders whose name is not that of the pass that fills them.
OUTPUT = {"text": "read", "bands": "keys", "kept": "write", "removed": "write"}
LOOK_EVERY = 0.05
# A value that is little more than the fixed cost says little about growth, and what of the fixed cost comes late says
# something wrong.
LEAST_ABOVE_FIXED = 0.5


def measure_clean(
    num_files: int, seed: int = 0, jobs: int = 2, made_of: Composition | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """What one run of the command over generated files took, in a process of its own, so that memory starts at nothing.

    Besides what `generate_files` returns: jobs, seconds (by the clock, with the start of Python), cpu_seconds (of all
    processes), peak_bytes (resident memory of all, looked at 20 times a second), cpu_<pass> and peak_<pass> of the
    same, stored_<kind> (bytes of the run's own parts), stored_ids (those of the text parts that are ids), stored_links
    (what the driver notes of candidates), output_bytes, library_sha256 (of the code measured). folder: where it works,
    the system's temporary folder by default; nothing stays there. Raises CookbookError when the command fails, or when
    other files went than were planted: the speed of a wrong result is none.
    """
    with tempfile.TemporaryDirectory(prefix="opencoder-scale-", dir=folder) as place:
        source, out = Path(place, "generated.parquet"), Path(place, "cleaned")
        made = generate_files(source, num_files, seed, made_of)
        took, watch = _run([str(source), "--out", str(out), "--stages", STAGES, "-j", str(jobs)], out)
        report = read_json(out / "report.json")
        _check_removed(report["funnel"], made)
        output_bytes = sum(part.stat().st_size for part in out.glob("*/*.parquet"))
    return {
        **made,
        "jobs": jobs,
        **took,
        "peak_bytes": max(watch.peaks.values()),
        **{f"cpu_{step}": watch.cpu[step] for step in PASSES},
        **{f"peak_{step}": watch.peaks[step] for step in PASSES},
        **{f"stored_{kind}": most for kind, most in watch.stored.items()},
        "output_bytes": output_bytes,
        "library_sha256": library_hash(*TAKES_PART),
    }


def _run(arguments: list[str], out: Path) -> tuple[dict[str, float], "_Watch"]:
    """Seconds by the clock and of processors that `opencoder clean` took, and what was seen of it meanwhile."""
    began = time.monotonic()
    command = [sys.executable, "-m", "opencoder_lib", "clean", *arguments]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=log, stderr=log)
        with _Watch(process.pid, out / WORK) as watch:
            # Popen.wait does not tell what the process used.
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        log.seek(0)
        said = log.read().decode(errors="replace")
    if process.returncode:
        raise CookbookError(f"opencoder clean ended with {process.returncode}: {said[-2000:].strip()}")
    return {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime}, watch


def _check_removed(funnel: list[dict[str, Any]], made: dict[str, int]) -> None:
    for row in funnel:
        planted = made.get(row["stage"], 0)
        if row["files_removed"] != planted:
            raise CookbookError(
                f"Stage {row['stage']} removed {row['files_removed']:,} of {made['files']:,} generated files; "
                f"{planted:,} were made for it."
            )


class _Watch(threading.Thread):
    """Looks at a process tree and at what it stores until the block ends."""

    def __init__(self, pid: int, work: Path):
        # Of the extra `book`: the command itself can do without.
        import psutil

        super().__init__(daemon=True)
        self._psutil, self._process, self._place, self._ended = psutil, psutil.Process(pid), work, threading.Event()
        self._pass, self._cpu_seen, self._id_bytes = PASSES[0], 0.0, {}
        self.cpu, self.peaks = dict.fromkeys(PASSES, 0.0), dict.fromkeys(PASSES, 0)
        self.stored = dict.fromkeys((*STORED, "ids", "links"), 0)

    def __enter__(self) -> "_Watch":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            with suppress(self._psutil.Error):
                self._look_at_processes()
            # Parts may be gone by the time they are asked for their size.
            with suppress(OSError, pa.ArrowException):
                self._look_at_parts()

    def _look_at_processes(self) -> None:
        tree = [self._process, *self._process.children(recursive=True)]
        held = sum(each.memory_info().rss for each in tree)
        self.peaks[self._pass] = max(self.peaks[self._pass], held)
        cpu = sum(sum(each.cpu_times()[:2]) for each in tree)
        self.cpu[self._pass] += max(0.0, cpu - self._cpu_seen)
        self._cpu_seen = max(cpu, self._cpu_seen)

    def _look_at_parts(self) -> None:
        links, begun = 0, set()
        for folder, _, names in os.walk(self._place):
            kind, parts = Path(folder).name, [Path(folder, name) for name in names if name.endswith(".parquet")]
            if names:
                begun.add(OUTPUT.get(kind, kind))
            links += sum(part.stat().st_size for part in parts if part.name in LINKS)
            if kind in STORED:
                self.stored[kind] = max(self.stored[kind], sum(part.stat().st_size for part in parts))
            for part in parts if kind == "text" else ():
                if part.name not in self._id_bytes:
                    self._id_bytes[part.name] = _bytes_of_columns(part, (FOUND_AT, ID))
        self.stored |= {"ids": sum(self._id_bytes.values()), "links": max(links, self.stored["links"])}
        self._pass = next((step for step in reversed(PASSES) if step in begun), self._pass)


def _bytes_of_columns(path: Path, names: Sequence[str]) -> int:
    """How much of a Parquet file some of its columns are."""
    about = pq.read_metadata(path)
    chunks = [
        about.row_group(at).column(column) for at in range(about.num_row_groups) for column in range(about.num_columns)
    ]
    return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in names)


def least_disturbed(runs: pl.DataFrame) -> pl.DataFrame:
    """Of the runs of each number of files the one with the fewest processor seconds, smallest first.

    A busy machine only adds to them: caches are shared, and so may be the core itself.
    """
    return runs.sort("files", "cpu_seconds").unique("files", keep="first", maintain_order=True)


@dataclass(frozen=True)
class Fit:
    """value = fixed + per_file x files, and value - fixed = constant x files^power with a 95 % interval of the power.

    worst: the largest relative distance of a measured value from the line; used: values the power was fitted to.
    """

    fixed: float
    per_file: float
    worst: float
    power: float
    low: float
    high: float
    used: int

    def at(self, files: int) -> float:
        """The line's value."""
        return self.fixed + self.per_file * files


def fit_per_file(files: Sequence[int], values: Sequence[float]) -> Fit:
    """The line and the power through what was measured at some sizes.

    The line by least squares of relative residuals, neither number below 0, so that small runs count as much as large
    ones. The power by least squares of the logarithms of what exceeds the fixed cost, where it does so by half of it or
    more; its interval by Student's t. Raises ConfigError when that leaves fewer than three values.
    """
    n, measured = np.asarray(files, float), np.asarray(values, float)
    fixed, per_file = cost_of_each({"fixed": np.ones_like(n), "files": n}, measured)
    above = measured - fixed
    used = above > LEAST_ABOVE_FIXED * fixed
    if used.sum() < 3:
        raise ConfigError(
            f"Only {used.sum()} of {len(n)} runs exceed the fixed cost of {fixed:.3g} by half. Measure larger ones."
        )
    x, y = np.log(n[used]), np.log(above[used])
    spread = ((x - x.mean()) ** 2).sum()
    power = float(((x - x.mean()) * y).sum() / spread)
    left = y - y.mean() - power * (x - x.mean())
    freedom = len(x) - 2
    half = float(stdtrit(freedom, 0.975) * math.sqrt((left**2).sum() / freedom / spread))
    worst = float(np.abs((fixed + per_file * n) / measured - 1).max())
    return Fit(fixed, per_file, worst, power, power - half, power + half, int(used.sum()))


def late_line(files: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """The line through the runs of a third of the largest size or more: where it begins, and what it rises for a file.

    The memory of a small run is mostly text at work, which grows with the input until every task has as much as it may.
    Raises ConfigError when there are fewer than two such runs.
    """
    n, measured = np.asarray(files, float), np.asarray(values, float)
    late = 3 * n >= n.max()
    if late.sum() < 2:
        raise ConfigError(f"Of {len(n)} runs only one has a third of the largest size or more. Measure another one.")
    return cost_of_each({"fixed": np.ones(late.sum()), "files": n[late]}, measured[late])


def cost_of_each(of: dict[str, np.ndarray], measured: np.ndarray) -> tuple[float, ...]:
    """What one of each costs if costs add up: least squares of relative residuals, none below 0.

    of: by name, how many of it each run had; measured: what each run took.
    """
    design = np.column_stack([column / measured for column in of.values()])
    # Columns of very different size would leave the solver's tolerance to the largest.
    scale = np.maximum(design.max(axis=0), 1e-300)
    found, _ = nnls(design / scale, np.ones(len(measured)))
    return tuple(float(value) for value in found / scale)
