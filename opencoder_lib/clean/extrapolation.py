"""What `opencoder clean` would take at a size that nobody ran here: arithmetic on what one machine was seen to do.

    costs_of(sizes, longer, fewer)   what a file, a byte and a copy cost, from runs of `scale.measure_clean`
    extrapolate(costs, load, ...)    those costs at another size, each with its formula
    breaks_first(costs, load, ...)   the size at which each resource of a machine is used up, the smallest first

Nothing here was seen on a cluster: what one process held is divided among nodes, what the driver holds is not.
"""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from opencoder_lib import MB
from opencoder_lib.clean.plan import MOST_UNIT
from opencoder_lib.clean.run import RANGES, ROWS_AT_ONCE
from opencoder_lib.clean.scale import cost_of_each, fit_per_file, late_line
from opencoder_lib.errors import ConfigError

GB, TB = 1000 * MB, 1000**2 * MB
HOUR, DAY = 3600, 24 * 3600
# read, digests, keys, sets, write: each does every unit once.
PASSES = 5


@dataclass(frozen=True)
class Costs:
    """What a run costs: processor seconds, bytes of memory and bytes on disk, for each file, byte or copy.

    memory_fixed: of a run on next to nothing; memory_per_file: on one machine, with the copies of the runs measured;
    memory_per_file_fewer: with fewer copies; task_memory: at most, of a task at work on the longest texts measured.
    Of the driver, for a row whose hash repeats, at most: driver_per_row (seconds) and memory_per_row, of which it holds
    a range at a time; for a file that fuzzy deduplication removes, at least: links_per_file, as they are stored.
    shuffled_per_file: ids and hashes; shuffled_per_left: keys of a file that exact deduplication leaves. power_high:
    the upper end of the power that processor seconds grow with, see `Fit`, over sizes up to `largest`.
    """

    cpu_per_file: float
    cpu_per_byte: float
    driver_per_row: float
    memory_fixed: float
    memory_per_file: float
    memory_per_file_fewer: float
    memory_per_row: float
    links_per_file: float
    task_memory: float
    shuffled_per_file: float
    shuffled_per_left: float
    work_per_byte: float
    output_per_byte: float
    power_high: float
    largest: int


def costs_of(sizes: pl.DataFrame, longer: pl.DataFrame, fewer: pl.DataFrame) -> Costs:
    """The costs behind rows of `measure_clean`.

    sizes: runs of one composition; longer: the same with longer texts, which tells files from bytes; fewer: runs with
    fewer copies. The smallest of `sizes` says what a run takes that has next to nothing to do. What is stored for a
    file is that of the largest of `sizes`, for a byte that of the largest of `longer`.
    """
    least, most = (sizes.sort("files").row(at, named=True) for at in (0, -1))
    long = longer.sort("files").row(-1, named=True)
    timed = pl.concat([sizes, longer], how="diagonal")
    columns = {"fixed": np.ones(timed.height), "files": timed["files"].to_numpy(), "bytes": timed["bytes"].to_numpy()}
    _, cpu_per_file, cpu_per_byte = cost_of_each(columns, timed["cpu_seconds"].to_numpy())
    return Costs(
        cpu_per_file=cpu_per_file,
        cpu_per_byte=cpu_per_byte,
        driver_per_row=most["cpu_digests"] / most["repeated"],
        memory_fixed=least["peak_bytes"],
        memory_per_file=late_line(sizes["files"], sizes["peak_bytes"])[1],
        memory_per_file_fewer=late_line(fewer["files"], fewer["peak_bytes"])[1],
        memory_per_row=max(0, _until_exact(most) - _until_exact(least)) / most["repeated"],
        links_per_file=most["stored_links"] / most["fuzzy"],
        task_memory=max(0, long["peak_bytes"] - least["peak_bytes"]) / long["jobs"],
        shuffled_per_file=(most["stored_ids"] + most["stored_digests"]) / most["files"],
        shuffled_per_left=(most["stored_keys"] + most["stored_bands"]) / (most["files"] - most["exact"]),
        work_per_byte=long["stored_text"] / long["bytes"],
        output_per_byte=long["output_bytes"] / long["bytes"],
        power_high=fit_per_file(sizes["files"], sizes["cpu_seconds"]).high,
        largest=most["files"],
    )


def _until_exact(run: dict) -> float:
    # Memory that one pass gave back the next one takes, so this is more than exact alone would need.
    return max(run["peak_start"], run["peak_read"], run["peak_digests"])


@dataclass(frozen=True)
class Load:
    """A corpus: so many files of so many bytes, and the shares that exact deduplication removes of them, and fuzzy
    deduplication of the rest."""

    name: str
    files: int
    num_bytes: float
    frac_exact: float
    frac_fuzzy: float

    @property
    def repeated(self) -> float:
        """Rows whose hash repeats, at most: every copy may bring one file that stays."""
        return min(1.0, 2 * self.frac_exact) * self.files

    @property
    def left(self) -> float:
        """Files that exact deduplication leaves."""
        return (1 - self.frac_exact) * self.files

    @property
    def range_rows(self) -> float:
        """Rows of repeated hashes that the driver holds at a time."""
        return min(self.repeated, max(ROWS_AT_ONCE, self.repeated / RANGES))


def extrapolate(costs: Costs, load: Load, cores: int, memory_bytes: float) -> pl.DataFrame:
    """What the load would take on nodes of so many cores and so much memory.

    Columns: quantity, value, amount (in words) and formula. Raises ConfigError when the tasks alone fill a node.
    """
    cpu = costs.cpu_per_file * load.files + costs.cpu_per_byte * load.num_bytes
    steeper = max(0.0, costs.power_high - 1)
    room = memory_bytes - cores * costs.task_memory
    if room <= 0:
        raise ConfigError(f"{cores} tasks of {in_words(costs.task_memory, 'B')} leave no room in a node. Give it more.")
    grouped = costs.memory_per_file * load.files
    for_time, for_memory = math.ceil(cpu / DAY / cores), math.ceil(grouped / room)
    nodes = max(1, for_time, for_memory)
    tasks = PASSES * math.ceil(load.num_bytes / MOST_UNIT)
    each, byte = in_words(costs.cpu_per_file, "s"), in_words(costs.cpu_per_byte, "s")
    row, file, task = (
        in_words(value, "B") for value in (costs.memory_per_row, costs.memory_per_file, costs.task_memory)
    )
    ids, keys = in_words(costs.shuffled_per_file, "B"), in_words(costs.shuffled_per_left, "B")
    rows = [
        ("processor time", cpu / HOUR, "core-hours", f"{each} x files + {byte} x bytes"),
        (
            "processor time, if it grows with the highest power not ruled out",
            cpu / HOUR * (load.files / costs.largest) ** steeper,
            "core-hours",
            f"the same x (files / {costs.largest:,})^{steeper:.3f}",
        ),
        (f"nodes of {cores} cores, for a day", for_time, "", f"core-hours / (24 x {cores}), rounded up"),
        (
            f"nodes of {in_words(memory_bytes, 'B')}, for what is grouped",
            for_memory,
            "",
            f"{file} x files / (memory - {cores} x {task}), rounded up",
        ),
        (
            "memory of a node, of the larger number",
            cores * costs.task_memory + grouped / nodes,
            "B",
            f"{cores} x {task} + {file} x files / {nodes:,}",
        ),
        (
            "memory of the driver for hashes, at most",
            costs.memory_fixed + costs.memory_per_row * load.range_rows,
            "B",
            f"{in_words(costs.memory_fixed, 'B')} + {row} x {load.range_rows:,.0f} rows, a range of all",
        ),
        (
            "memory of the driver for links, at least",
            costs.links_per_file * load.frac_fuzzy * load.left,
            "B",
            f"{in_words(costs.links_per_file, 'B')} x near copies",
        ),
        (
            "the driver's own hours for hashes, at most",
            costs.driver_per_row * load.repeated / HOUR,
            "hours",
            f"{in_words(costs.driver_per_row, 's')} x rows of repeated hashes",
        ),
        (
            "shuffled",
            costs.shuffled_per_file * load.files + costs.shuffled_per_left * load.left,
            "B",
            f"{ids} x files + {keys} x files that exact leaves",
        ),
        ("text on disk meanwhile", costs.work_per_byte * load.num_bytes, "B", f"{costs.work_per_byte:.2f} x bytes"),
        ("output on disk", costs.output_per_byte * load.num_bytes, "B", f"{costs.output_per_byte:.2f} x bytes"),
        ("tasks", tasks, "", f"{PASSES} passes x bytes / {in_words(MOST_UNIT, 'B')}"),
    ]
    table = [(quantity, float(value), in_words(value, unit), formula) for quantity, value, unit, formula in rows]
    return pl.DataFrame(table, schema=["quantity", "value", "amount", "formula"], orient="row")


def breaks_first(costs: Costs, load: Load, cores: int, memory_bytes: float, disk_bytes: float) -> pl.DataFrame:
    """How many files like the load's use up each resource, fewest first; what does not grow is left out.

    Columns: resource, limit and a_file (in words), files, frac_of_load (files as a share of the load's).
    """
    share, size = load.repeated / load.files, load.num_bytes / load.files
    alike = load.frac_fuzzy * load.left / load.files
    memory, limit = memory_bytes - costs.memory_fixed, in_words(memory_bytes, "B")
    on_disk = (costs.work_per_byte + costs.output_per_byte) * size
    on_disk += costs.shuffled_per_file + costs.shuffled_per_left * load.left / load.files
    cpu = costs.cpu_per_file + costs.cpu_per_byte * size
    resources = [
        ("memory of one machine, such copies", memory, limit, costs.memory_per_file, "B"),
        ("memory of one machine, fewer copies", memory, limit, costs.memory_per_file_fewer, "B"),
        ("memory of a cluster's driver, hashes", memory, limit, costs.memory_per_row * share / RANGES, "B"),
        ("memory of a cluster's driver, links", memory, limit, costs.links_per_file * alike, "B"),
        ("disk of one machine", disk_bytes, in_words(disk_bytes, "B"), on_disk, "B"),
        (f"a day of {cores} cores", DAY * cores, f"{24 * cores:,} core-hours", cpu, "s"),
        ("a day of the driver's own work", DAY, "24 hours", costs.driver_per_row * share, "s"),
    ]
    rows = [
        (name, limit, in_words(each, unit), most / each, most / each / load.files)
        for name, most, limit, each, unit in resources
        if each > 0
    ]
    columns = {"resource": pl.String, "limit": pl.String, "a_file": pl.String}
    columns |= {"files": pl.Float64, "frac_of_load": pl.Float64}
    return pl.DataFrame(rows, schema=columns, orient="row").sort("files", "resource")


def in_words(value: float, unit: str) -> str:
    """'282 GB', '4.1 µs', '1,900 core-hours': bytes (B) and seconds (s) with a prefix, other units with separators."""
    steps = {"B": ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")), "s": _SECONDS}.get(unit, ())
    for size, name in steps:
        if abs(value) >= size:
            return f"{_three(value / size)} {name}"
    return f"{_three(value)} {unit}".strip()


_SECONDS = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps"))


def _three(value: float) -> str:
    """Three digits that count, without an exponent; counts of whole things stay whole."""
    if isinstance(value, int):
        return f"{value:,}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{round(value, digits):,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
